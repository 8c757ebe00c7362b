"""Rill's own protocol, at /v1/stream: JSON messages, and audio as binary messages.

-> {"type": "start", "sample_rate": 48000, "encoding": "pcm16"}     also float32; opus-in-ogg, which
   needs no sample_rate; words: custom words as `rill transcribe --words` takes them; second_pass:
   true; silence: seconds, 1.2; format_text: written or spoken
<- {"type": "ready", "latency_ms": 235, "chunk_ms": 120}
-> audio, little endian, one channel
<- {"type": "partial", "text": ..., "words": [{"word", "start", "end", "confidence"}], "latency": 9}
<- {"type": "final", "text": ..., "words": [...], "formatted": ..., "written": [...], "revised":
   false, "latency": 80}    written only where it differs from words; cut_seconds where speech
   without a pause was cut; latency in ms since the arrival of the audio that completed it
-> {"type": "keepalive"}, {"type": "finish"}
<- the last final, {"type": "done", "duration": 12.3}, close 1000
<- {"type": "error", "code": ..., "message": ...} before every other close
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from starlette.websockets import WebSocket

from asr.audio import SAMPLE_RATE
from asr.errors import AudioError
from asr.text.written import TEXT_FORMS
from streaming.endpointing import EndpointRules
from streaming.events import Event
from streaming.microphone.captions import event_record
from streaming.server.audio.ogg_opus import OPUS_RATE, OggOpus
from streaming.server.limits import Refused
from streaming.server.live_stream import SAMPLE_BYTES
from streaming.server.protocols.sockets import (
    converse,
    json_object,
    number,
    receive_within,
    send_within,
)
from streaming.server.service import Service

OPUS = "opus-in-ogg"


@dataclass(frozen=True)
class Start:
    """The settings of a stream that a client requests."""

    sample_rate: float
    encoding: str = "pcm16"
    words: tuple[str, ...] = ()
    second_pass: bool = True
    silence: float = EndpointRules.silence_after_words
    format_text: str | None = None  # of `TEXT_FORMS`; the server's default if not given


async def serve(websocket: WebSocket, service: Service) -> None:
    """One stream, from its start message to its end."""
    await converse(websocket, service, _run, _error)


def _error(refused: Refused) -> dict[str, str]:
    return {"type": "error", "code": refused.code, "message": refused.message}


async def _run(websocket: WebSocket, service: Service) -> None:
    first = await receive_within(websocket, service)
    if first is None:
        return
    start = parse_start(first)
    opus = _opus_decoder() if start.encoding == OPUS else None
    written = service.written if start.format_text is None else start.format_text == "written"
    stream = await service.open(
        start.sample_rate,
        start.words,
        start.second_pass,
        EndpointRules(silence_after_words=start.silence),
        written=written,
    )
    recognizer = service.recognizer
    ready = {
        "type": "ready",
        "latency_ms": recognizer.engine.config.latency_ms,
        "chunk_ms": 1000 * recognizer.chunk_samples / SAMPLE_RATE,
    }
    await send_within(websocket, json.dumps(ready), service)
    while (message := await receive_within(websocket, service)) is not None:
        if isinstance(message, bytes):
            arrived = time.monotonic()
            if opus:
                async for samples in _decoded(opus, message, service):
                    events = await stream.push_samples(samples)
                    await _send_events(websocket, service, events, arrived)
            else:
                events = await stream.push(message, start.encoding)
                await _send_events(websocket, service, events, arrived)
            continue
        match json_object(message).get("type"):
            case "keepalive":
                continue
            case "finish":
                break
            case other:
                shown = repr(other)[:100]
                raise Refused("bad_message", f"type {shown}; expected keepalive or finish")
    else:
        if not service.closing.is_set():
            return  # the client disconnected without finish
    await _send_events(websocket, service, await stream.finish(), time.monotonic())
    stream.check_whole()
    if opus and opus.is_incomplete:
        raise Refused(
            "bad_audio", "the audio ends within an Ogg page; the incomplete page was ignored"
        )
    done = {"type": "done", "duration": round(stream.seconds_pushed, 3)}
    await send_within(websocket, json.dumps(done), service)


async def _send_events(
    websocket: WebSocket,
    service: Service,
    events: Sequence[Event],
    arrived: float,
) -> None:
    for event in events:
        record = event_record(event) | {"latency": round(1000 * (time.monotonic() - arrived))}
        await send_within(websocket, json.dumps(record), service)


def _opus_decoder() -> OggOpus:
    try:
        return OggOpus()
    except ModuleNotFoundError:
        raise Refused(
            "bad_message", f"encoding: for {OPUS} this server needs pip install 'rill-asr[opus]'"
        ) from None


async def _decoded(opus: OggOpus, data: bytes, service: Service) -> AsyncIterator[np.ndarray]:
    """Decode page by page: a message may contain hours, and the limits apply between pages."""
    pages = opus.push(data)
    try:
        while (samples := await service.run(next, pages, None)) is not None:
            yield samples
    except AudioError as error:
        raise Refused("bad_audio", str(error)) from None


def parse_start(message: str | bytes) -> Start:
    """Parse the first message of a client.

    Raises:
        Refused: an unknown or invalid setting.
    """
    if isinstance(message, bytes):
        raise Refused("bad_message", "audio before the start message")
    fields = json_object(message)
    if fields.pop("type", None) != "start":
        raise Refused("bad_message", 'expected {"type": "start", "sample_rate": ...} first')
    if unknown := sorted(set(fields) - set(Start.__dataclass_fields__)):
        raise Refused("bad_message", f"start has no setting {unknown[0][:100]!r}")
    start = Start(**{"sample_rate": None} | fields)
    encodings = (*SAMPLE_BYTES, OPUS)
    if start.encoding not in encodings:
        raise Refused("bad_message", f"encoding: expected one of {', '.join(encodings)}")
    if start.encoding == OPUS:
        if start.sample_rate not in (None, OPUS_RATE):
            raise Refused("bad_message", f"sample_rate: {OPUS} has {OPUS_RATE}; leave it out")
        start = replace(start, sample_rate=OPUS_RATE)
    number(start.sample_rate, "sample_rate")
    listed = isinstance(start.words, (list, tuple))
    if not listed or not all(isinstance(word, str) for word in start.words):
        raise Refused("bad_message", "words: expected a list of strings")
    if not isinstance(start.second_pass, bool):
        raise Refused("bad_message", "second_pass: expected true or false")
    if not 0.1 <= number(start.silence, "silence") <= 60:
        raise Refused("bad_message", "silence: expected seconds between 0.1 and 60")
    if start.format_text not in (None, *TEXT_FORMS):
        raise Refused("bad_message", f"format_text: expected {' or '.join(TEXT_FORMS)}")
    return replace(start, words=tuple(start.words))
