"""Words with times, segments, transcripts, and the formats they are written in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asr.errors import RillError

LONGEST_CUE_SECONDS = 6.0
LONGEST_CUE_LETTERS = 80
CUE_PAUSE_SECONDS = 0.8


@dataclass(frozen=True)
class Word:
    """One word; times are seconds from the recording's first sample."""

    word: str
    start: float
    end: float
    confidence: float  # 0 to 1: how likely it is right; see docs/explanation/beam-search.md


@dataclass(frozen=True)
class Alternative:
    """One hypothesis of the n-best list of an utterance."""

    words: tuple[str, ...]
    score: float  # natural logarithm, acoustic and language model together; compare differences
    # Start and end of each word, in seconds as of a `Word`; empty where they are unknown.
    times: tuple[tuple[float, float], ...] = ()

    @property
    def text(self) -> str:
        """The words, divided by spaces."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Segment:
    """An utterance between two endpoints."""

    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...] = ()  # the best first; empty unless requested
    # The words as people write them (asr/text/written.py): "25" for "twenty five". Empty unless
    # requested.
    written: tuple[Word, ...] = ()

    @property
    def text(self) -> str:
        """The words, divided by spaces."""
        return " ".join(word.word for word in self.words)

    @property
    def shown(self) -> tuple[Word, ...]:
        """The written tokens where there are any, else the words."""
        return self.written or self.words


@dataclass(frozen=True)
class Transcript:
    """The words of one recording."""

    segments: tuple[Segment, ...]
    duration: float  # seconds of sound
    # Why the recording ends here, where it is damaged or could not be recognised to its end: one
    # line. All that was recognised before is in the segments.
    damage: str | None = None

    @property
    def text(self) -> str:
        """All words, divided by spaces."""
        return " ".join(segment.text for segment in self.segments if segment.words)

    @property
    def formatted(self) -> str:
        """The text as people write it, if the segments have written tokens."""
        return " ".join(word.word for segment in self.segments for word in segment.shown)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)


def transcript_of(
    segments: Iterable[Segment], duration: float, damage: Sequence[RillError]
) -> Transcript:
    """The transcript of the segments with words.

    Args:
        duration: seconds of sound that were read.
        damage: what ended the recording early, if anything did.

    Raises:
        RillError: the damage, where no sound was read before it.
    """
    if damage and not duration:
        raise damage[0]
    with_words = tuple(segment for segment in segments if segment.words)
    return Transcript(with_words, duration, str(damage[0]) if damage else None)


def shift_alternatives(
    alternatives: Iterable[Alternative], seconds: float, latest: float = math.inf
) -> tuple[Alternative, ...]:
    """Alternatives moved in time; none of their words ends after `latest`."""
    return tuple(
        replace(
            one,
            times=tuple(
                (min(start + seconds, latest), min(end + seconds, latest))
                for start, end in one.times
            ),
        )
        for one in alternatives
    )


def shift_words(
    words: Iterable[Word], seconds: float, latest: float = math.inf
) -> tuple[Word, ...]:
    """Words moved in time; none ends after `latest`."""
    return tuple(
        Word(
            word.word,
            min(word.start + seconds, latest),
            min(word.end + seconds, latest),
            word.confidence,
        )
        for word in words
    )


def to_text(transcript: Transcript) -> str:
    """One line a segment."""
    return "".join(_line(segment.shown) + "\n" for segment in transcript.segments if segment.words)


def to_json(transcript: Transcript, file: str) -> str:
    """One object on one line: file, text as spoken, formatted as written, duration, words with
    word, start, end and confidence; segments with their alternatives, if those were requested;
    damage, where there is any."""
    record: dict[str, Any] = {
        "file": file,
        "text": transcript.text,
        "formatted": transcript.formatted,
        "duration": round(transcript.duration, 3),
        "words": [word_record(word) for word in transcript.words],
    }
    if transcript.damage is not None:
        record["damage"] = transcript.damage
    if any(segment.alternatives for segment in transcript.segments):
        record["segments"] = [
            {
                "start": round(segment.words[0].start, 3),
                "end": round(segment.words[-1].end, 3),
                "alternatives": alternative_records(segment.alternatives),
            }
            for segment in transcript.segments
        ]
    return json.dumps(record) + "\n"


def alternative_records(alternatives: Iterable[Alternative]) -> list[dict[str, str | float]]:
    """Alternatives as JSON has them."""
    return [{"text": one.text, "score": round(one.score, 3)} for one in alternatives]


def word_record(word: Word) -> dict[str, str | float]:
    """A word as JSON has it."""
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 3),
    }


def to_srt(transcript: Transcript) -> str:
    """SubRip subtitles."""
    blocks = (
        f"{number}\n{_clock(cue[0].start, ',')} --> {_clock(cue[-1].end, ',')}\n{_line(cue)}\n"
        for number, cue in enumerate(cues(transcript), start=1)
    )
    return "\n".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT subtitles."""
    blocks = (
        f"\n{_clock(cue[0].start, '.')} --> {_clock(cue[-1].end, '.')}\n{_line(cue)}\n"
        for cue in cues(transcript)
    )
    return "WEBVTT\n" + "".join(blocks)


def cues(transcript: Transcript) -> Iterator[list[Word]]:
    """Words grouped as subtitles: at most 6 s and 80 letters, none across a segment or a pause."""
    for segment in transcript.segments:
        cue: list[Word] = []
        for word in segment.shown:
            if cue and (
                word.end - cue[0].start > LONGEST_CUE_SECONDS
                or len(_line(cue)) + 1 + len(word.word) > LONGEST_CUE_LETTERS
                or word.start - cue[-1].end > CUE_PAUSE_SECONDS
            ):
                yield cue
                cue = []
            cue.append(word)
        if cue:
            yield cue


def _line(cue: Sequence[Word]) -> str:
    return " ".join(word.word for word in cue)


def _clock(seconds: float, decimal_mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{decimal_mark}{rest % 1000:03}"
