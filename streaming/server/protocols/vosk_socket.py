"""Vosk's protocol, at /, for existing Vosk clients: each binary message is answered by one JSON
message.

    -> {"config": {"sample_rate": 16000, "words": true}}    default rate 8000, as in vosk-server
    -> audio, 16 bits, little endian
    <- {"partial": ...}, or {"text": ..., "result": [{"conf", "start", "end", "word"}]}
    -> {"eof": 1}                                            <- the last {"text": ...}, then close
    -> {"reset": 1}                                          <- {"text": ...} of the running
    utterance
"""

from __future__ import annotations

import json
from typing import Any

from starlette.websockets import WebSocket

from streaming.events import Final
from streaming.server.limits import Refused
from streaming.server.protocols.sockets import (
    converse,
    json_object,
    number,
    receive_within,
    send_within,
)
from streaming.server.service import LiveStream, Service

DEFAULT_RATE = 8000


async def serve(websocket: WebSocket, service: Service) -> None:
    """One connection."""
    await converse(websocket, service, _run, _error)


def _error(refused: Refused) -> dict[str, str]:
    return {"error": refused.code, "message": refused.message}


async def _run(websocket: WebSocket, service: Service) -> None:
    rate, with_words = float(DEFAULT_RATE), True
    stream: LiveStream | None = None
    partial = ""
    while (message := await receive_within(websocket, service)) is not None:
        if isinstance(message, bytes):
            stream = stream or await service.open(rate, waits_for_answers=True)
            events = await stream.push(message, "pcm16")
            if finals := [event for event in events if isinstance(event, Final)]:
                partial = ""
                await send_within(websocket, _result(finals, with_words), service)
            else:
                partial = events[-1].text if events else partial
                await send_within(websocket, json.dumps({"partial": partial}), service)
            continue
        command = _command(message)
        if "config" in command:
            if stream:
                raise Refused("bad_message", "config after audio")
            rate, with_words = _config(command["config"])
            continue
        finals = await stream.finish() if stream else []
        await send_within(websocket, _result(finals, with_words), service)
        if stream:
            stream.check_whole()
        stream, partial = None, ""
        if "eof" in command:
            return
    if stream and service.closing.is_set():
        await send_within(websocket, _result(await stream.finish(), with_words), service)


def _result(finals: list[Final], with_words: bool) -> str:
    record: dict[str, Any] = {"text": " ".join(final.text for final in finals if final.words)}
    words = [word for final in finals for word in final.words]
    if with_words and words:
        record["result"] = [
            {
                "conf": round(word.confidence, 6),
                "end": round(word.end, 6),
                "start": round(word.start, 6),
                "word": word.word,
            }
            for word in words
        ]
    return json.dumps(record)


def _command(message: str) -> dict[str, Any]:
    command = json_object(message)
    if not {"config", "eof", "reset"} & set(command):
        raise Refused("bad_message", "expected config, eof or reset")
    return command


def _config(config: object) -> tuple[float, bool]:
    if not isinstance(config, dict):
        raise Refused("bad_message", "config: expected an object")
    wanted = {k: v for k, v in config.items() if v not in (None, 0, False, [], "")}
    if unknown := sorted(set(wanted) - {"sample_rate", "words"}):
        raise Refused("bad_message", f"config: {unknown[0]} is not supported")
    rate = number(config.get("sample_rate", DEFAULT_RATE), "sample_rate")
    return rate, bool(config.get("words", True))
