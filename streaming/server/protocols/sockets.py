"""WebSocket connections within the limits, for all protocols."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from streaming.server.connections.access import address_key
from streaming.server.failures import internal
from streaming.server.limits import Refused
from streaming.server.service import Service


async def converse(
    websocket: WebSocket,
    service: Service,
    run: Callable[[WebSocket, Service], Awaitable[None]],
    error: Callable[[Refused], dict[str, Any]],
    subprotocol: str | None = None,
) -> None:
    """Serve a client: check its access, `run` the protocol to its end, and close. `error` formats
    the message for a refused client; `subprotocol` is one that the client offers."""
    try:
        await websocket.accept(subprotocol)
        try:
            service.access.check(websocket)
            with service.slots.acquire(
                address_key(websocket.client.host if websocket.client else "")
            ):
                await run(websocket, service)
            if websocket.client_state is WebSocketState.CONNECTED:
                await websocket.close(1000)
        except Refused as refused:
            await _refuse(websocket, service, refused, error)
        except WebSocketDisconnect:
            pass
        except Exception as failure:
            await _refuse(websocket, service, internal(failure), error)
    except WebSocketDisconnect:
        pass  # the client has disconnected


async def _refuse(
    websocket: WebSocket,
    service: Service,
    refused: Refused,
    error: Callable[[Refused], dict[str, Any]],
) -> None:
    service.metrics.refusals.labels(refused.code).inc()
    if websocket.client_state is not WebSocketState.CONNECTED:
        return
    # The connection closes even if the client does not read the message.
    with suppress(TimeoutError):
        async with asyncio.timeout(service.limits.slow_reader_seconds):
            await websocket.send_text(json.dumps(error(refused)))
            await websocket.close(refused.close_code, refused.code)


def json_object(message: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        Refused: the message is no JSON object.
    """
    try:
        parsed = json.loads(message)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise Refused("bad_message", "not a JSON object")
    return parsed


def number(value: object, name: str) -> float:
    """A number from a client's message; raises Refused for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("bad_message", f"{name}: expected a number")
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise Refused("bad_message", f"{name}: too large") from None


async def receive_within(websocket: WebSocket, service: Service) -> str | bytes | None:
    """The next message; None when the client has disconnected or the server is closing.

    Raises:
        Refused: no message for too long, or a message that is too large.
    """
    message = await service.next_from_client(websocket.receive, "; send keepalive")
    if message is None:
        return None
    if message["type"] == "websocket.disconnect":
        return None
    text = message.get("text")
    data: str | bytes = message.get("bytes") or b"" if text is None else text
    if len(data) > service.limits.message_bytes:
        raise Refused("too_large", f"a message may have {service.limits.message_bytes} bytes", 1009)
    return data


async def send_within(websocket: WebSocket, text: str, service: Service) -> None:
    """Send a message; raises Refused if the client does not read it in time."""
    try:
        await asyncio.wait_for(websocket.send_text(text), service.limits.slow_reader_seconds)
    except TimeoutError:
        raise Refused("slow_reader", "results were not read in time", 4409) from None
