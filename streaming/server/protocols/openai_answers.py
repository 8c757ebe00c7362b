"""The answers of OpenAI's API: transcripts in its formats, stream events and errors."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from asr.formats import to_srt, to_vtt
from asr.transcript import Segment, Transcript, Word
from streaming.microphone.captions import words_and_written
from streaming.server.limits import Refused
from streaming.server.protocols.openai_fields import TranscriptionRequest

MIN_CONFIDENCE = 1e-4  # log-probabilities are of the words' confidences
FRAMES_PER_SECOND = 100  # of Whisper, whose frames `seek` counts
_PUNCTUATION = ',?!;:…"“”()[]'


def text_of(words: Sequence[Word]) -> str:
    """The words, separated by spaces."""
    return " ".join(word.word for word in words)


def transcript_response(transcript: Transcript, asked: TranscriptionRequest, task: str) -> Response:
    """The answer to a request."""
    match asked.response_format:
        case "srt":
            return PlainTextResponse(to_srt(transcript))
        case "vtt":
            return PlainTextResponse(to_vtt(transcript))
        case "text":
            return PlainTextResponse(transcript.formatted + "\n")
    granularities = asked.granularities
    record: dict[str, Any] = {"text": transcript.formatted}
    if asked.response_format == "verbose_json":
        record = {"task": task, "language": "english", "duration": _seconds(transcript)} | record
        granularities = granularities or frozenset({"segment"})
    if "segment" in granularities:
        record["segments"] = _segments(transcript)
    if "word" in granularities:
        record["words"] = [
            {"word": bare(word.word), "start": round(word.start, 3), "end": round(word.end, 3)}
            for segment in transcript.segments
            for word in segment.shown
        ]
    if asked.logprobs:
        record["logprobs"] = [
            token for segment in transcript.segments for token in logprobs(segment.shown)
        ]
    record["usage"] = usage(transcript.duration)
    return JSONResponse(record)


def usage(seconds: float) -> dict[str, Any]:
    """The usage of a model that is billed by the audio's length."""
    return {"type": "duration", "seconds": round(seconds, 3)}


def bare(token: str) -> str:
    """A written token without the punctuation around it: OpenAI's word times have none."""
    token = token.strip(_PUNCTUATION)
    inner = token.rstrip(".")
    return inner if inner and "." not in inner else token  # the point of "a.m." is its own


def logprobs(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Tokens with log-probabilities: a token is a word with the space before it, and its
    probability is the word's confidence."""
    return [
        {"token": token, "logprob": _logprob(word), "bytes": list(token.encode())}
        for word in words
        for token in [f" {word.word}"]
    ]


def _logprob(word: Word) -> float:
    return round(math.log(max(word.confidence, MIN_CONFIDENCE)), 4)


def _segments(transcript: Transcript) -> list[dict[str, Any]]:
    """OpenAI's segments. What CTC lacks has a stand-in: no tokens, temperature 0, and 0 for
    no_speech_prob, because what is no speech has no segment."""
    records = []
    for number, segment in enumerate(transcript.segments):
        text = f" {text_of(segment.shown)}"
        start, end = segment.words[0].start, segment.words[-1].end
        logs = [_logprob(word) for word in segment.words]
        data = text.encode()
        records.append(
            {
                "id": number,
                "seek": int(start * FRAMES_PER_SECOND),
                "start": round(start, 3),
                "end": round(end, 3),
                "text": text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": round(sum(logs) / len(logs), 4),
                "compression_ratio": round(len(data) / len(zlib.compress(data)), 4),
                "no_speech_prob": 0.0,
            }
        )
    return records


def segment_times(segment: Segment, granularities: frozenset[str]) -> dict[str, Any]:
    """The times that a stream event has beside its text."""
    record: dict[str, Any] = {}
    if "segment" in granularities:
        start, end = segment.words[0].start, segment.words[-1].end
        record |= {"start": round(start, 3), "end": round(end, 3)}
    if "word" in granularities:
        record |= words_and_written(segment.words, segment.written)
    return record


def _seconds(transcript: Transcript) -> float:
    return round(transcript.duration, 3)


def event(record: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(record)}\n\n"


def error_response(refused: Refused, **others: Any) -> Response:
    """An error as OpenAI's clients read it."""
    return JSONResponse(error_record(refused) | others, refused.status)


def error_record(refused: Refused) -> dict[str, Any]:
    """The body of an error."""
    return {
        "error": {
            "message": refused.message,
            "type": error_type(refused),
            "param": refused.field,
            "code": refused.code,
        }
    }


def error_type(refused: Refused) -> str:
    """OpenAI's name for a kind of error."""
    if refused.status == 429:
        return "rate_limit_error"
    return "server_error" if refused.status >= 500 else "invalid_request_error"
