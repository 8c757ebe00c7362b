"""OpenAI's `POST /v1/audio/transcriptions`: a recording in, a transcript out.

Fields: file, response_format (json, text, srt, vtt, verbose_json), timestamp_granularities[] (word,
segment; also without brackets), stream (true or 1: server-sent events, a delta for each segment),
language (English of any country, or empty), temperature (0 to 1, without effect: decoding is
deterministic), model (any name). An empty field counts as missing. Unsupported fields, such as a
prompt, are refused, and so is a field that is sent twice.
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
from asr.formats import to_srt, to_text, to_vtt
from asr.transcript import Segment, Transcript
from streaming.server.access import address_key
from streaming.server.failures import internal
from streaming.server.languages import is_english
from streaming.server.limits import Refused
from streaming.server.service import Service
from streaming.server.uploads import Body, Disconnected, UploadedAudio, stopped_on_disconnect

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
CLIENT_CLOSED_REQUEST = 499  # the client has disconnected
GRANULARITIES = ("word", "segment")
LISTS = ("timestamp_granularities[]", "timestamp_granularities")
SINGLE = ("file", "model", "response_format", "stream", "language", "temperature", "prompt")
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


@dataclass(frozen=True)
class TranscriptionRequest:
    """The fields of a request."""

    file: UploadFile
    response_format: str
    granularities: frozenset[str]
    stream: bool


async def transcribe(request: Request, service: Service) -> Response:
    """The transcript of one upload, or an error in OpenAI's format."""
    body = Body(request, service)
    found: list[Segment] = []
    try:
        service.access.check(request)
        async with AsyncExitStack() as held:
            client = address_key(request.client.host if request.client else "")
            held.enter_context(service.slots.acquire(client))
            form = await body.form()
            held.push_async_callback(form.close)
            asked = parse(form)
            name = (asked.file.filename or "the upload")[:200]
            audio = UploadedAudio(read_blocks(asked.file.file, name=name), service.limits)
            await held.enter_async_context(stopped_on_disconnect(request, audio, service))
            segments = _segments(audio, service)
            if asked.stream:
                events = _events(segments, held.pop_all(), service)
                return StreamingResponse(events, media_type="text/event-stream")
            async for segment in segments:
                found.append(segment)
            return _response(Transcript(tuple(found), audio.seconds), asked)
    except Disconnected:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    except HTTPException as error:  # from starlette, for an invalid form
        return JSONResponse(_error("bad_request", error.detail), error.status_code)
    except Exception as error:
        refused = _refusal(error, service)
        await body.drain()
        record = _error(refused.code, refused.message)
        if found:  # keep what was recognised before the error
            record["text"] = " ".join(segment.text for segment in found)
        return JSONResponse(record, refused.status)


async def models(request: Request, service: Service) -> Response:
    """OpenAI's list of models, with one model."""
    try:
        service.access.check(request)
    except Refused as refused:
        return JSONResponse(_error(refused.code, refused.message), refused.status)
    model = {"id": service.recognizer.name, "object": "model", "created": 0, "owned_by": "rill"}
    return JSONResponse({"object": "list", "data": [model]})


def parse(form: FormData) -> TranscriptionRequest:
    """Parse a form.

    Raises:
        Refused: an unsupported or invalid field.
    """
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused("bad_request", "file: expected a recording")
    if unknown := sorted(set(form) - {*SINGLE, *LISTS}):
        raise Refused("bad_request", f"{unknown[0][:100]} is not supported")
    if twice := [name for name in SINGLE if len(form.getlist(name)) > 1]:
        raise Refused("bad_request", f"{twice[0]}: sent twice")
    if _field(form, "prompt"):
        raise Refused(
            "bad_request",
            "prompt is not supported; custom words are an option of rill serve (--words), and of a "
            "stream at /v1/stream",
        )
    if not is_english(_field(form, "language")):
        raise Refused("bad_request", "language: this model recognises English (en)")
    if not _is_temperature(_field(form, "temperature") or "0"):
        raise Refused("bad_request", "temperature: expected 0 to 1 (it has no effect)")
    response_format = _field(form, "response_format") or "json"
    if response_format not in FORMATS:
        raise Refused("bad_request", f"response_format: expected one of {', '.join(FORMATS)}")
    values = [str(value) for name in LISTS for value in form.getlist(name)]
    granularities = frozenset(value for value in values if value)
    if granularities - set(GRANULARITIES):
        raise Refused("bad_request", "timestamp_granularities: expected word or segment")
    if granularities and response_format != "verbose_json":
        raise Refused("bad_request", "timestamp_granularities needs response_format verbose_json")
    stream = _field(form, "stream").lower()
    if stream not in (*YES, *NO):
        raise Refused("bad_request", "stream: expected true or false")
    if stream in YES and response_format != "json":
        raise Refused("bad_request", "stream needs response_format json")
    return TranscriptionRequest(file, response_format, granularities, stream in YES)


def _field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise Refused("bad_request", f"{name}: expected text")
    return value.strip()


def _is_temperature(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _refusal(error: Exception, service: Service) -> Refused:
    """The error to send to the client."""
    if isinstance(error, Refused):
        refused = error
    elif isinstance(error, AudioError):
        refused = Refused("bad_audio", str(error))
    else:
        refused = internal(error)
    service.refusals.labels(refused.code).inc()
    return refused


async def _segments(audio: UploadedAudio, service: Service) -> AsyncIterator[Segment]:
    """One segment after another, so that the threads are free in between."""
    found = service.recognizer.segments(audio)
    try:
        while (segment := await service.run(next, found, None)) is not None:
            if segment.words:
                yield segment
    except Disconnected:
        if service.stopping.is_set():
            raise Refused(
                "closing", "the server is shutting down; try again later", status=503
            ) from None
        raise
    service.audio_seconds.inc(audio.seconds)


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
        except Disconnected:
            return
        except Exception as error:
            refused = _refusal(error, service)
            yield _event({"type": "error"} | _error(refused.code, refused.message))


def _event(record: dict[str, Any]) -> str:
    return f"data: {json.dumps(record)}\n\n"


def _response(transcript: Transcript, asked: TranscriptionRequest) -> Response:
    match asked.response_format:
        case "json":
            return JSONResponse({"text": transcript.text})
        case "verbose_json":
            return JSONResponse(_verbose(transcript, asked.granularities or {"segment"}))
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
