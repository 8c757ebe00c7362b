"""OpenAI's `POST /v1/audio/transcriptions`: a recording in, its transcript out.

Fields: file, response_format (json, text, srt, vtt, verbose_json), timestamp_granularities[] (word,
segment; also without brackets), stream (true or 1: server-sent events, a delta for each segment),
language (English of any country, or nothing), temperature (0 to 1, without effect: decoding is
deterministic), model (any name). An empty field is one that was not sent. What cannot be honoured,
such as a prompt, is refused, and so is a field that comes twice.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from asr.audio import read_blocks
from asr.errors import AudioError
from asr.transcript import Segment, Transcript, to_srt, to_text, to_vtt
from streaming.server.access import address_key
from streaming.server.failures import internal
from streaming.server.languages import is_english
from streaming.server.limits import Refused
from streaming.server.service import Service
from streaming.server.uploads import Body, Gone, Sound, while_somebody_waits

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
NOBODY_WAITS = 499  # a status that nobody reads: the client has left
GRANULARITIES = ("word", "segment")
LISTS = ("timestamp_granularities[]", "timestamp_granularities")
SINGLE = ("file", "model", "response_format", "stream", "language", "temperature", "prompt")
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


@dataclass(frozen=True)
class Wanted:
    """What a request asks for."""

    file: UploadFile
    response_format: str
    granularities: frozenset[str]
    stream: bool


async def transcribe(request: Request, service: Service) -> Response:
    """The transcript of one upload, or a refusal as OpenAI words it."""
    body = Body(request, service)
    found: list[Segment] = []
    try:
        service.access.check(request)
        async with AsyncExitStack() as held:
            client = address_key(request.client.host if request.client else "")
            held.enter_context(service.places.one(client))
            form = await body.form()
            held.push_async_callback(form.close)
            wanted = parse(form)
            name = (wanted.file.filename or "the upload")[:200]
            sound = Sound(read_blocks(wanted.file.file, name=name), service.limits)
            await held.enter_async_context(while_somebody_waits(request, sound, service))
            segments = _segments(sound, service)
            if wanted.stream:
                events = _events(segments, held.pop_all(), service)
                return StreamingResponse(events, media_type="text/event-stream")
            async for segment in segments:
                found.append(segment)
            return _response(Transcript(tuple(found), sound.seconds), wanted)
    except Gone:
        return Response(status_code=NOBODY_WAITS)
    except HTTPException as error:  # starlette's own, of a broken form
        return JSONResponse(_error("bad_request", error.detail), error.status_code)
    except Exception as error:
        refused = _refusal(error, service)
        await body.drop_the_rest()
        record = _error(refused.code, refused.message)
        if found:  # what was recognised before it is not lost
            record["text"] = " ".join(segment.text for segment in found)
        return JSONResponse(record, refused.status)


async def models(request: Request, service: Service) -> Response:
    """OpenAI's list of models, of which there is one."""
    try:
        service.access.check(request)
    except Refused as refused:
        return JSONResponse(_error(refused.code, refused.message), refused.status)
    model = {"id": service.recognizer.name, "object": "model", "created": 0, "owned_by": "rill"}
    return JSONResponse({"object": "list", "data": [model]})


def parse(form: FormData) -> Wanted:
    """What a form asks for.

    Raises:
        Refused: anything in it that cannot be honoured.
    """
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused("bad_request", "file: expected a recording")
    if unknown := sorted(set(form) - {*SINGLE, *LISTS}):
        raise Refused("bad_request", f"{unknown[0][:100]} cannot be honoured here")
    if twice := [name for name in SINGLE if len(form.getlist(name)) > 1]:
        raise Refused("bad_request", f"{twice[0]}: came twice")
    if _field(form, "prompt"):
        raise Refused(
            "bad_request",
            "prompt cannot be honoured here; words that this server is to know are given to it by "
            "rill serve --words, or to a stream of /v1/stream",
        )
    if not is_english(_field(form, "language")):
        raise Refused("bad_request", "language: this model hears English (en)")
    if not _is_temperature(_field(form, "temperature") or "0"):
        raise Refused("bad_request", "temperature: expected 0 to 1 (which changes nothing here)")
    wanted = _field(form, "response_format") or "json"
    if wanted not in FORMATS:
        raise Refused("bad_request", f"response_format: expected one of {', '.join(FORMATS)}")
    asked = [str(value) for name in LISTS for value in form.getlist(name)]
    granularities = frozenset(value for value in asked if value)
    if granularities - set(GRANULARITIES):
        raise Refused("bad_request", "timestamp_granularities: expected word or segment")
    if granularities and wanted != "verbose_json":
        raise Refused("bad_request", "timestamp_granularities goes with verbose_json")
    stream = _field(form, "stream").lower()
    if stream not in (*YES, *NO):
        raise Refused("bad_request", "stream: expected true or false")
    if stream in YES and wanted != "json":
        raise Refused("bad_request", "stream goes with response_format json")
    return Wanted(file, wanted, granularities, stream in YES)


def _field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise Refused("bad_request", f"{name}: expected a text")
    return value.strip()


def _is_temperature(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _refusal(error: Exception, service: Service) -> Refused:
    """What its client is told of an exception."""
    if isinstance(error, Refused):
        refused = error
    elif isinstance(error, AudioError):
        refused = Refused("bad_audio", str(error))
    else:
        refused = internal(error)
    service.refusals.labels(refused.code).inc()
    return refused


async def _segments(sound: Sound, service: Service) -> AsyncIterator[Segment]:
    """One after another, so that live streams have their turn in between."""
    found = service.recognizer.segments(sound)
    try:
        while (segment := await service.run(next, found, None)) is not None:
            if segment.words:
                yield segment
    except Gone:
        if service.stopping.is_set():
            raise Refused("closing", "the server ends; try again later", status=503) from None
        raise
    service.heard_seconds.inc(sound.seconds)


async def _events(
    segments: AsyncIterator[Segment], held: AsyncExitStack, service: Service
) -> AsyncIterator[str]:
    async with held:
        text = ""
        try:
            async for segment in segments:
                delta = (" " if text else "") + segment.text
                text += delta
                yield _event({"type": "transcript.text.delta", "delta": delta})
            yield _event({"type": "transcript.text.done", "text": text})
        except Gone:
            return
        except Exception as error:
            refused = _refusal(error, service)
            yield _event({"type": "error"} | _error(refused.code, refused.message))


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


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "code": code}}
