"""OpenAI's `POST /v1/audio/transcriptions`: a recording in, its transcript out.

Fields: file, response_format (json, text, srt, vtt, verbose_json), timestamp_granularities[] (word,
segment), stream (server-sent events, a delta for each segment), language (en), model (any name).
What cannot be honoured, such as prompt, is refused.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from asr.audio import SAMPLE_RATE, Samples, read_blocks
from asr.errors import AudioError
from asr.transcript import Segment, Transcript, to_srt, to_text, to_vtt
from streaming.server.limits import Refused
from streaming.server.service import Service

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("word", "segment")
HONOURED = {
    "file", "model", "response_format", "timestamp_granularities[]", "timestamp_granularities",
    "stream", "language", "temperature",
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What a request asks for."""

    file: UploadFile
    response_format: str
    granularities: frozenset[str]
    stream: bool


async def transcribe(request: Request, service: Service) -> Response:
    """The transcript of one upload, or a refusal as OpenAI words it."""
    try:
        service.admit(request)
        _check_size(request, service)
        async with AsyncExitStack() as held:
            client = request.client.host if request.client else ""
            held.enter_context(service.places.one(client))
            form = await request.form(max_files=1, max_fields=20)
            held.push_async_callback(form.close)
            wanted = parse(form)
            name = wanted.file.filename or "the upload"
            sound = Sound(read_blocks(wanted.file.file, name=name))
            segments = _segments(sound, service)
            if wanted.stream:
                events = _events(segments, held.pop_all())
                return StreamingResponse(events, media_type="text/event-stream")
            found = tuple([segment async for segment in segments])
            return _response(Transcript(found, sound.seconds), wanted)
    except Refused as refused:
        service.refusals.labels(refused.code).inc()
        return JSONResponse(_error(refused.code, refused.message), refused.status)
    except AudioError as error:
        service.refusals.labels("bad_audio").inc()
        return JSONResponse(_error("bad_audio", str(error)), 400)
    except HTTPException as error:  # starlette's own, of a broken form
        return JSONResponse(_error("bad_request", error.detail), error.status_code)


def parse(form: FormData) -> Wanted:
    """What a form asks for.

    Raises:
        Refused: anything in it that cannot be honoured.
    """
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused("bad_request", "file: expected a recording")
    if unknown := sorted(set(form) - HONOURED):
        raise Refused("bad_request", f"{unknown[0]} cannot be honoured here")
    if form.get("language", "en") not in ("en", "english", ""):
        raise Refused("bad_request", "language: this model hears English (en)")
    if form.get("temperature", "0") not in ("0", "0.0", ""):
        raise Refused("bad_request", "temperature: there is no chance in the answers; expected 0")
    wanted = str(form.get("response_format", "json"))
    if wanted not in FORMATS:
        raise Refused("bad_request", f"response_format: expected one of {', '.join(FORMATS)}")
    granularities = frozenset(map(str, form.getlist("timestamp_granularities[]")))
    if granularities - set(GRANULARITIES):
        raise Refused("bad_request", "timestamp_granularities: expected word or segment")
    if granularities and wanted != "verbose_json":
        raise Refused("bad_request", "timestamp_granularities goes with verbose_json")
    stream = str(form.get("stream", "false")).lower() == "true"
    if stream and wanted != "json":
        raise Refused("bad_request", "stream goes with response_format json")
    return Wanted(file, wanted, granularities, stream)


class Sound:
    """Blocks of samples that are counted as they are read."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        self._blocks, self.seconds = blocks, 0.0

    def __iter__(self) -> Iterator[Samples]:
        for block in self._blocks:
            self.seconds += len(block) / SAMPLE_RATE
            yield block


async def _segments(sound: Sound, service: Service) -> AsyncIterator[Segment]:
    """One after another, so that live streams have their turn in between."""
    found = service.recognizer.segments(sound)
    while (segment := await service.run(next, found, None)) is not None:
        if segment.words:
            yield segment
    service.heard_seconds.inc(sound.seconds)


async def _events(segments: AsyncIterator[Segment], held: AsyncExitStack) -> AsyncIterator[str]:
    async with held:
        text = ""
        try:
            async for segment in segments:
                delta = (" " if text else "") + segment.text
                text += delta
                yield _event({"type": "transcript.text.delta", "delta": delta})
            yield _event({"type": "transcript.text.done", "text": text})
        except AudioError as error:
            yield _event({"type": "error"} | _error("bad_audio", str(error)))


def _event(record: dict[str, Any]) -> str:
    return f"data: {json.dumps(record)}\n\n"


def _response(transcript: Transcript, wanted: Wanted) -> Response:
    match wanted.response_format:
        case "json":
            return JSONResponse({"text": transcript.text})
        case "verbose_json":
            return JSONResponse(_verbose(transcript, wanted.granularities or {"segment"}))
        case "text":
            return PlainTextResponse(to_text(transcript))
        case "srt":
            return PlainTextResponse(to_srt(transcript))
    return PlainTextResponse(to_vtt(transcript))


def _verbose(transcript: Transcript, granularities: frozenset[str] | set[str]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "task": "transcribe",
        "language": "english",
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
    }
    if "segment" in granularities:
        record["segments"] = [
            {
                "id": number,
                "start": round(segment.words[0].start, 3),
                "end": round(segment.words[-1].end, 3),
                "text": segment.text,
            }
            for number, segment in enumerate(transcript.segments)
        ]
    if "word" in granularities:
        record["words"] = [
            {"word": word.word, "start": round(word.start, 3), "end": round(word.end, 3)}
            for word in transcript.words
        ]
    return record


def _check_size(request: Request, service: Service) -> None:
    size = request.headers.get("content-length", "")
    if not size.isdigit():
        raise Refused("bad_request", "content-length is needed", status=411)
    if int(size) > service.limits.upload_bytes:
        limit = service.limits.upload_bytes // 2**20
        raise Refused("too_large", f"a recording may have {limit} MiB", status=413)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "code": code}}
