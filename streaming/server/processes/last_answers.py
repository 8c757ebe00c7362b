"""What the front tells clients that no worker can answer: those of a worker that was killed.

The front has a duplicate of each connection. It knows from the worker's reports which protocol a
client speaks and whether a message may be sent now. Encrypted connections are closed without an
answer: their keys ended with the worker.
"""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal, NamedTuple


class Reason(NamedTuple):
    """Why nobody answers."""

    code: str
    message: str
    close_code: int


ENDED = Reason(
    "internal",
    "the server's process of this stream has ended unexpectedly; what was sent since the last "
    "words is lost. Start again",
    1011,
)
BUSY = Reason("busy", "the server has too many connections; try again later", 4429)
SEND_SECONDS = 1.0
DRAIN_SECONDS = 2.0  # for the client to read the answer: unread bytes of it would discard that

Doing = Literal[
    "new", "request", "response", "events", "idle", "rill", "realtime", "vosk", "wyoming"
]  # fmt: skip


def last_answer(doing: Doing, reason: Reason) -> bytes:
    """The last bytes for a client; empty if it cannot be told anything."""
    match doing:
        case "new" | "request":
            body = json.dumps({"error": _openai_error(reason)}).encode()
            head = (
                "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            return head.encode() + body
        case "events":
            record = {"type": "error", "error": _openai_error(reason)}
            event = f"data: {json.dumps(record)}\n\n".encode()
            return f"{len(event):x}\r\n".encode() + event + b"\r\n0\r\n\r\n"
        case "rill":
            return _websocket(
                {"type": "error", "code": reason.code, "message": reason.message}, reason
            )
        case "realtime":
            error = _openai_error(reason) | {"event_id": None}
            event_id = f"event_{uuid.uuid4().hex}"
            return _websocket({"type": "error", "event_id": event_id, "error": error}, reason)
        case "vosk":
            return _websocket({"error": reason.code, "message": reason.message}, reason)
        case "wyoming":
            data = json.dumps({"text": reason.message, "code": reason.code}).encode()
            header = {"type": "error", "data_length": len(data)}
            return json.dumps(header).encode() + b"\n" + data
    return b""  # between two requests, or within a response


async def answer(connection: socket.socket, data: bytes) -> None:
    """Send the last bytes, and close once the client has read them."""
    loop = asyncio.get_running_loop()
    with connection, suppress(OSError, TimeoutError):
        if data:
            async with asyncio.timeout(SEND_SECONDS):
                await loop.sock_sendall(connection, data)
            connection.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(DRAIN_SECONDS):
                while await loop.sock_recv(connection, 2**16):
                    pass
        else:
            connection.shutdown(socket.SHUT_RDWR)


def _openai_error(reason: Reason) -> dict[str, str | None]:
    return {"message": reason.message, "type": "server_error", "param": None, "code": reason.code}


def _websocket(message: Mapping[str, object], reason: Reason) -> bytes:
    from websockets.frames import Close, Frame, Opcode

    text = Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=False)
    close = Frame(Opcode.CLOSE, Close(reason.close_code, reason.code).serialize())
    return text + close.serialize(mask=False)
