"""OpenAI's HTTP API: a recording in, a transcript out.

POST /v1/audio/transcriptions and /v1/audio/translations (of English: a transcription) take the
fields of streaming/server/protocols/openai_fields.py; with stream=true the answer is server-sent
events, a delta for each segment, with the times that timestamp_granularities[] asks for.
GET /v1/models lists the model. Every name of a model means it. Errors of all addresses under /v1/
are JSON as OpenAI's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from asr.audio import read_blocks
from asr.errors import AudioError
from asr.recognizer import Recognizer
from asr.transcript import Segment, Transcript
from streaming.server.connections.access import address_key
from streaming.server.failures import internal
from streaming.server.limits import Refused
from streaming.server.protocols.openai_answers import (
    error_record,
    error_response,
    event,
    logprobs,
    segment_times,
    text_of,
    transcript_response,
)
from streaming.server.protocols.openai_fields import TranscriptionRequest, parse
from streaming.server.service import Service
from streaming.server.uploads import Body, Disconnected, UploadedAudio, stopped_on_disconnect
from streaming.server.words.prompts import prompt_words

CLIENT_CLOSED_REQUEST = 499  # the client has disconnected
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Endpoint = Callable[[Request, Service], Awaitable[Response]]


def routes(service: Service) -> list[Route]:
    """The addresses of the API, and an error for all others under /v1/."""

    def route(path: str, endpoint: Endpoint, methods: list[str]) -> Route:
        async def answer(request: Request) -> Response:
            return await endpoint(request, service)

        return Route(path, answer, methods=methods)

    transcribe, translate = (partial(_transcribe, task=it) for it in ("transcribe", "translate"))
    return [
        route("/v1/audio/transcriptions", transcribe, ["POST"]),
        route("/v1/audio/translations", translate, ["POST"]),
        route("/v1/models", _models, ["GET"]),
        route("/v1/models/{name:path}", _model, ["GET"]),
        route("/v1/{rest:path}", _unknown, METHODS),
    ]


async def _transcribe(request: Request, service: Service, task: str) -> Response:
    """The transcript of one upload, or an error."""
    body = Body(request, service)
    found: list[Segment] = []
    try:
        service.access.check(request)
        async with AsyncExitStack() as held:
            client = address_key(request.client.host if request.client else "")
            held.enter_context(service.slots.acquire(client))
            form = await body.form()
            held.push_async_callback(form.close)
            asked = parse(form, service.written)
            name = (asked.file.filename or "the upload")[:200]
            audio = UploadedAudio(read_blocks(asked.file.file, name=name), service.limits)
            await held.enter_async_context(stopped_on_disconnect(request, audio, service))
            recognizer = await _recognizer(asked, service)
            if not asked.written:
                recognizer = service.without_written_forms(recognizer)
            segments = _segments(audio, recognizer, service)
            if asked.stream:
                events = _events(segments, asked, audio, held.pop_all(), service)
                return StreamingResponse(events, media_type="text/event-stream")
            async for segment in segments:
                found.append(segment)
            return transcript_response(Transcript(tuple(found), audio.seconds), asked, task)
    except Disconnected:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    except HTTPException as error:  # from starlette, for an invalid form
        refused = Refused("bad_request", error.detail, status=error.status_code)
        return error_response(refused)
    except Exception as error:
        refused = _refusal(error, service)
        await body.drain()
        if found:  # keep what was recognised before the error
            return error_response(refused, text=Transcript(tuple(found), 0.0).formatted)
        return error_response(refused)


async def _models(request: Request, service: Service) -> Response:
    """OpenAI's list of models, with one model."""
    try:
        service.access.check(request)
    except Refused as refused:
        return error_response(refused)
    data = [_model_record(service.recognizer.name)]
    return JSONResponse({"object": "list", "data": data})


async def _model(request: Request, service: Service) -> Response:
    """A model by its name. Every name means the one model, as in a transcription."""
    try:
        service.access.check(request)
    except Refused as refused:
        return error_response(refused)
    return JSONResponse(_model_record(request.path_params["name"]))


def _model_record(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "rill"}


async def _unknown(request: Request, service: Service) -> Response:
    """An address or a method that this server lacks."""
    asked = f"{request.method} {request.url.path[:200]}"
    message = f"{asked}: not found; POST /v1/audio/transcriptions transcribes a recording"
    return error_response(Refused("not_found", message, status=404))


async def _recognizer(asked: TranscriptionRequest, service: Service) -> Recognizer:
    """The recogniser with the custom words of the request."""
    words = asked.keywords
    if asked.prompt:
        prompted = await service.run(prompt_words, asked.prompt, service.recognizer)
        words = tuple(dict.fromkeys((*words, *prompted)))
    return await service.recognizer_with(words)


def _refusal(error: Exception, service: Service) -> Refused:
    """The error to send to the client."""
    if isinstance(error, Refused):
        refused = error
    elif isinstance(error, AudioError):
        refused = Refused("bad_audio", str(error), field="file")
    else:
        refused = internal(error)
    service.metrics.refusals.labels(refused.code).inc()
    return refused


async def _segments(
    audio: UploadedAudio, recognizer: Recognizer, service: Service
) -> AsyncIterator[Segment]:
    """One segment after another, so that the threads are free in between."""
    found = recognizer.segments(audio)
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
    service.metrics.audio_seconds.inc(audio.seconds)


async def _events(
    segments: AsyncIterator[Segment],
    asked: TranscriptionRequest,
    audio: UploadedAudio,
    held: AsyncExitStack,
    service: Service,
) -> AsyncIterator[str]:
    async with held:
        text = ""
        tokens: list[dict[str, Any]] = []
        try:
            async for segment in segments:
                delta = (" " if text else "") + text_of(segment.shown)
                text += delta
                record: dict[str, Any] = {"type": "transcript.text.delta", "delta": delta}
                if asked.logprobs:
                    record["logprobs"] = logprobs(segment.shown)
                    tokens += record["logprobs"]
                yield event(record | segment_times(segment, asked.granularities))
            done: dict[str, Any] = {"type": "transcript.text.done", "text": text}
            if asked.logprobs:
                done["logprobs"] = tokens
            if asked.granularities:
                done["duration"] = round(audio.seconds, 3)
            yield event(done)
        except Disconnected:
            return
        except Exception as error:
            refused = _refusal(error, service)
            yield event({"type": "error"} | error_record(refused))
