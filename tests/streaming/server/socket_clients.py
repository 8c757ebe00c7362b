"""Clients on WebSockets of a server of several processes, and how they end."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any

from asr.audio import SAMPLE_RATE
from tests.streaming.server.processes import Processes
from tests.streaming.server.test_server import START, connected, final_words, websockets

PIECE = 3200  # bytes: 100 ms


async def started(stack: AsyncExitStack, server: Processes, path: str = "/v1/stream") -> Any:
    socket = await stack.enter_async_context(connected(server.address, path))
    if path == "/v1/stream":
        await socket.send(json.dumps(START))
        assert json.loads(await socket.recv())["type"] == "ready"
    elif path == "/":
        await socket.send(json.dumps({"config": {"sample_rate": SAMPLE_RATE}}))
    else:
        assert json.loads(await socket.recv())["type"] == "session.created"
    return socket


def check_ends(ends: list[tuple[list[dict], int]], expected: list, before: list[dict]) -> None:
    """Two clients have all their words, and two have lost their process: the events before, and an
    error.

    Args:
        ends: the messages of each client and the code of its socket's end.
    """
    lost = [messages for messages, code in ends if code == 1011]
    kept = [messages for messages, code in ends if code == 1000]
    assert len(lost) == len(kept) == 2
    for messages in kept:
        assert final_words(messages) == expected and messages[-1]["type"] == "done"
    for messages in lost:
        assert messages[-1]["type"] == "error" and messages[-1]["code"] == "internal"
        events = [{k: v for k, v in m.items() if k != "latency"} for m in messages[:-1]]
        assert events == before


async def rest(socket: Any) -> list[dict[str, Any]]:
    """All messages until the close."""
    messages = []
    try:
        async for message in socket:
            messages.append(json.loads(message))
    except websockets.ConnectionClosedError:
        pass
    return messages


async def finished(socket: Any, pcm: bytes) -> list[dict[str, Any]]:
    """Send this audio and the finish; all messages."""
    for start in range(0, len(pcm), PIECE):
        await socket.send(pcm[start : start + PIECE])
    await socket.send('{"type": "finish"}')
    return await rest(socket)
