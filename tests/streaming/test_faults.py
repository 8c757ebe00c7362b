"""Clients that send some audio and vanish, in several ways: nothing of them stays in the server,
and other clients lose no word."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.streaming.server.test_server import START, connected, final_words, httpx, websockets

MEBIBYTE = 2**20
COUNTED = ("tasks", "threads", "descriptors")
WAVE = 30  # clients at the same time; the server has eight streams
SERVER = """
import asyncio
from asr.recognizer import Recognizer
from starlette.responses import JSONResponse
from starlette.routing import Route
from streaming.server.app import create_app
from streaming.server.running import run
from streaming.server.limits import Limits

async def tasks(request):
    return JSONResponse(len(asyncio.all_tasks()))

limits = Limits(
    streams=8, streams_per_client=8, head_seconds=1.0, idle_seconds=2.0, slow_reader_seconds=1.0
)
app = create_app(Recognizer.load(threads=1), limits)
app.router.routes.insert(0, Route("/tasks", tasks))
run(app, "127.0.0.1", 0, lambda at: print(at, flush=True))
"""


class Server:
    """A server in its own process, and its resources."""

    def __init__(self, program: str = SERVER) -> None:
        command = [sys.executable, "-c", program]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split("//")[1].strip().rstrip("/")

    def held(self) -> dict[str, int]:
        """Tasks, threads, file descriptors and bytes resident."""
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return {
            "tasks": httpx.get(f"http://{self.address}/tasks").json(),
            "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(proc / "fd")),
            "resident": int(status["VmRSS"].split()[0]) * 1024,
        }

    async def settled(self, limit: dict[str, int]) -> dict[str, int]:
        """The resources once they are within `limit`, or after 20 s."""
        for _ in range(200):
            idle = httpx.get(f"http://{self.address}/health").json()["streams"] == 0
            held = self.held()
            if idle and all(held[what] <= limit[what] for what in COUNTED):
                break
            await asyncio.sleep(0.1)
        return held


@pytest.fixture
def server() -> Iterator[Server]:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    server = Server()
    yield server
    server.process.terminate()
    assert server.process.wait(timeout=30) == 0


async def leave(address: str, pcm: bytes) -> None:
    """Closes without finish; or is refused, if all streams are in use."""
    async with connected(address) as socket:
        await socket.send(json.dumps(START))
        await socket.send(pcm[:40_000])
        await socket.recv()


async def reset(address: str, pcm: bytes) -> None:
    """The connection breaks while audio is being sent."""
    socket_ = await websockets.connect(f"ws://{address}/v1/stream")
    await socket_.send(json.dumps(START))
    await socket_.send(pcm[:40_000])
    raw = socket_.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket_.transport.abort()


async def never_read(address: str, pcm: bytes) -> None:
    """Half-open: sends, reads nothing, does not answer the close, and aborts later."""
    _, writer = await handshake(address)
    writer.write(frame(1, json.dumps(START).encode()) + frame(2, pcm[:40_000]))
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(3)
    writer.transport.abort()


async def stop_in_a_message(address: str, pcm: bytes) -> None:
    _, writer = await handshake(address)
    writer.write(frame(1, json.dumps(START).encode()) + frame(2, pcm[:40_000])[:9_000])
    await writer.drain()
    writer.transport.abort()


async def stop_in_the_handshake(address: str, pcm: bytes) -> None:
    host, port = address.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/stream HTTP/1.1\r\nUpgra")
    await writer.drain()
    writer.transport.abort()


async def finish_and_go(address: str, pcm: bytes) -> None:
    """Does not wait for its last words."""
    async with connected(address) as socket:
        for message in (json.dumps(START), pcm[:40_000], '{"type": "finish"}'):
            await socket.send(message)
        socket.transport.abort()


async def handshake(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        "GET /v1/stream HTTP/1.1", f"Host: {address}", "Upgrade: websocket",
        "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", "",
    )  # fmt: skip
    writer.write("\r\n".join(lines).encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def frame(kind: int, data: bytes) -> bytes:
    """A message of a WebSocket client, its mask being zero: 1 is text, 2 is binary."""
    return struct.pack("!BBQ4x", 0x80 | kind, 0x80 | 127, len(data)) + data


RUDE = (leave, reset, never_read, stop_in_a_message, stop_in_the_handshake, finish_and_go)


async def wave(server: Server, pcm: bytes, number: int) -> list[dict[str, Any]]:
    """The messages of a correct client that connects before the others."""
    choose = random.Random(number)
    async with connected(server.address) as polite:
        await polite.send(json.dumps(START))
        messages = [json.loads(await polite.recv())]

        async def vanish() -> None:
            with suppress(OSError, websockets.WebSocketException, asyncio.IncompleteReadError):
                await choose.choice(RUDE)(server.address, pcm)

        others = asyncio.gather(*(vanish() for _ in range(WAVE)))
        for start in range(0, len(pcm), 8_000):
            await polite.send(pcm[start : start + 8_000])
            await asyncio.sleep(0.05)
        await polite.send('{"type": "finish"}')
        messages += [json.loads(message) async for message in polite]
        await others
    return messages


def harm(server: Server, pcm: bytes, waves: int, expected: list[dict[str, Any]]) -> list[int]:
    """Resident bytes after a warm-up wave and after each further one. All other resources must be
    as at the start."""

    async def after_a_wave(number: int, before: dict[str, int]) -> dict[str, int]:
        assert final_words(await wave(server, pcm, number)) == expected
        return await server.settled(before)

    before = server.held()
    before["threads"] += 2  # of the recogniser, which start when they are needed
    after = [asyncio.run(after_a_wave(number, before)) for number in range(1 + waves)]
    for what in COUNTED:
        assert after[-1][what] <= before[what], what
    return [held["resident"] for held in after]


def test_thirty_rude_clients_leave_nothing_behind(
    server: Server, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    first, second = harm(server, pcm, 1, expected)
    assert second - first < 64 * MEBIBYTE


HALF_A_HEAD = b"GET /health HTTP/1.1\r\nHost: here\r\nX-Slow: "
WHOLE = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize("before", [b"", HALF_A_HEAD, WHOLE + HALF_A_HEAD])
@pytest.mark.parametrize("drips", [False, True])
def test_a_head_that_does_not_arrive_times_out(server: Server, before: bytes, drips: bool) -> None:
    """Nothing, half a head, or half a second one; then silence, or a byte now and then."""

    async def wait_for_the_end(answers: int) -> bytes:
        host, port = server.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        if answers:
            writer.write(WHOLE)
            await reader.readuntil(b"}")
        writer.write(before.removeprefix(WHOLE))

        async def drip() -> None:
            with suppress(OSError):
                while True:
                    writer.write(b"G" if not before else b"a")
                    await writer.drain()
                    await asyncio.sleep(0.1)

        dripping = asyncio.ensure_future(drip()) if drips else None
        try:
            return await asyncio.wait_for(reader.read(), 30)
        finally:
            if dripping:
                dripping.cancel()
            writer.transport.abort()

    before_test = server.held()
    response = asyncio.run(wait_for_the_end(before.startswith(WHOLE)))
    assert response.startswith(b"HTTP/1.1 408 ") and b"within 1 s" in response, response
    after = asyncio.run(server.settled(before_test))
    assert after["descriptors"] <= before_test["descriptors"]


def test_a_head_in_time_may_be_followed_by_a_long_wait(server: Server) -> None:
    """The timeout is for the head alone; a WebSocket may be silent for longer."""

    async def speak_late() -> Any:
        async with connected(server.address) as socket:
            await asyncio.sleep(1.5)
            await socket.send(json.dumps(START))
            return json.loads(await socket.recv())

    assert asyncio.run(speak_late())["type"] == "ready"


@pytest.mark.slow
def test_a_thousand_rude_clients_leave_nothing_behind(
    server: Server, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    resident = [size / MEBIBYTE for size in harm(server, pcm, 34, expected)]
    print(f"MiB after each {WAVE} connections:", *(f"{size:.0f}" for size in resident))
    assert resident[-1] - resident[10] < 16


def test_all_streams_emit_their_last_words_when_the_server_ends_under_load(
    server: Server, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    async def cut_short(started: list[int]) -> list[dict[str, Any]]:
        async with connected(server.address) as socket:
            await socket.send(json.dumps(START))
            messages = [json.loads(await socket.recv())]
            await socket.send(pcm)
            messages.append(json.loads(await socket.recv()))  # it is being recognised
            started.append(1)
            if len(started) == 5:  # once: a second signal ends the server at once
                server.process.send_signal(signal.SIGTERM)
            return messages + [json.loads(message) async for message in socket]

    async def together() -> list[list[dict[str, Any]]]:
        started: list[int] = []
        rude = [never_read(server.address, pcm), reset(server.address, pcm)]
        *results, _, _ = await asyncio.gather(
            *(cut_short(started) for _ in range(5)), *rude, return_exceptions=True
        )
        return results

    for messages in asyncio.run(together()):
        assert final_words(messages) == expected and messages[-1]["type"] == "done"
    assert server.process.wait(timeout=30) == 0
