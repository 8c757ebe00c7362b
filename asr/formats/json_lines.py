"""JSON: one object on one line for each recording."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from asr.formats.turns import Turn, turns
from asr.transcript import Alternative, Segment, Transcript, Word


def to_json(transcript: Transcript, file: str) -> str:
    """One object: file, text as spoken, formatted as written, duration, words with word, start, end
    and confidence; segments with their alternatives, if those were requested; damage, where there
    is any. With several channels each word and segment has its channel, words are in order of their
    starts, and turns say who speaks when."""
    segments = [segment for segment in transcript.segments if segment.words]
    has_channels = any(segment.channel for segment in segments)
    spoken = [(word, segment.channel) for segment in segments for word in segment.words]
    record: dict[str, Any] = {"file": file}
    if has_channels:
        spoken.sort(key=lambda pair: pair[0].start)
        found = turns(transcript)
        records = _turn_records(found, spoken)
        record["text"] = " ".join(one["text"] for one in records)
        record["formatted"] = " ".join(turn.text for turn in found)
    else:
        record["text"], record["formatted"] = transcript.text, transcript.formatted
    record["duration"] = round(transcript.duration, 3)
    record["words"] = [
        word_record(word) | ({"channel": channel} if channel else {}) for word, channel in spoken
    ]
    if has_channels:
        record["turns"] = records
    if transcript.damage is not None:
        record["damage"] = transcript.damage
    if any(segment.alternatives for segment in segments):
        record["segments"] = [_segment_record(segment) for segment in segments]
    return json.dumps(record) + "\n"


def _turn_records(found: list[Turn], spoken: list[tuple[Word, str]]) -> list[dict[str, Any]]:
    rest = {turn.channel: iter([w for w, c in spoken if c == turn.channel]) for turn in found}
    records = []
    for turn in found:
        said, ends = [], turn.words[-1].end
        for word in rest[turn.channel]:
            said.append(word.word)
            if word.end >= ends:
                break
        text = {"text": " ".join(said), "formatted": turn.text}
        records.append({"channel": turn.channel, **_times(turn.words), **text})
    return records


def word_record(word: Word) -> dict[str, str | float]:
    """A word as JSON has it."""
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 3),
    }


def alternative_records(alternatives: Iterable[Alternative]) -> list[dict[str, str | float]]:
    """Alternatives as JSON has them."""
    return [{"text": one.text, "score": round(one.score, 3)} for one in alternatives]


def _segment_record(segment: Segment) -> dict[str, Any]:
    channel = {"channel": segment.channel} if segment.channel else {}
    alternatives = alternative_records(segment.alternatives)
    return {**channel, **_times(segment.words), "alternatives": alternatives}


def _times(words: tuple[Word, ...]) -> dict[str, float]:
    return {"start": round(words[0].start, 3), "end": round(words[-1].end, 3)}
