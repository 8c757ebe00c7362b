"""Limits of the server: messages of any size, an address in use, unread responses."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from tests.streaming.server.served import Server, served
from tests.streaming.server.test_server import START, connected, final_words, recite, websockets
from tests.streaming.server.uploads import SMALL_LIMITS
from tests.streaming.test_faults import handshake


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(limits=SMALL_LIMITS) as server:
        yield server


@pytest.mark.parametrize(
    ("encoding", "size"), [("pcm16", 3201), ("pcm16", 1), ("float32", 4099), ("float32", 3)]
)
def test_pieces_may_end_within_a_sample(
    server: Server, pcm: bytes, expected: list[dict[str, Any]], encoding: str, size: int
) -> None:
    sound = pcm
    if encoding == "float32":
        sound = (np.frombuffer(pcm, "<i2").astype("<f4") / 2**15).tobytes()
    sizes = [size, 2 * size + 1] if size > 10 else [size] * 999 + [30_001]

    async def send() -> list[dict[str, Any]]:
        async with connected(server.address) as stream:
            await stream.send(json.dumps(START | {"encoding": encoding}))
            at = number = 0
            while at < len(sound):
                step = sizes[number % len(sizes)]
                await stream.send(sound[at : at + step])
                at, number = at + step, number + 1
            await stream.send('{"type": "finish"}')
            return [json.loads(message) async for message in stream]

    messages = asyncio.run(send())
    assert final_words(messages) == expected and messages[-1] == {"type": "done", "duration": 4.0}


@pytest.mark.parametrize("path", ["/v1/stream", "/"])
def test_audio_that_ends_within_a_sample_is_reported_after_its_words(
    server: Server, pcm: bytes, expected: list[dict[str, Any]], path: str
) -> None:
    async def send() -> list[dict[str, Any]]:
        messages = []
        async with connected(server.address, path) as stream:
            first = START if path == "/v1/stream" else {"config": {"sample_rate": SAMPLE_RATE}}
            last = {"type": "finish"} if path == "/v1/stream" else {"eof": 1}
            for sent in (json.dumps(first), pcm + b"\0", json.dumps(last)):
                await stream.send(sent)
            try:
                async for message in stream:
                    messages.append(json.loads(message))
            except websockets.ConnectionClosedError:
                pass
        return messages

    *messages, error = asyncio.run(send())
    assert "bad_audio" in error.values() and "last 1 bytes" in error["message"]
    if path == "/v1/stream":
        assert final_words(messages) == expected
    else:
        assert [w["word"] for w in messages[-1]["result"]] == [w["word"] for w in expected]


@pytest.mark.parametrize("options", [("--port",), ("--port", "0", "--wyoming")])
def test_an_address_that_is_in_use_is_reported_in_one_line(options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        last = f"tcp://127.0.0.1:{port}" if "--wyoming" in options else str(port)
        command = [sys.executable, "-m", "asr.cli.main", "serve", *options, last]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 2 and str(port) in done.stderr
    assert done.stderr.count("\n") == 1 and "in use" in done.stderr.lower()


def test_a_client_that_sends_pings_and_reads_nothing_is_disconnected(server: Server) -> None:
    """Each ping is answered, into an unbounded buffer."""
    ping = b"\x89\xfd" + bytes(4) + bytes(125)

    async def flood() -> tuple[int, int]:
        _, writer = await handshake(server.address)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = 0
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(20):
                while sent < 100 * 2**20:
                    writer.write(ping * 1000)
                    sent += 131_000
                    await writer.drain()
        held = (await asyncio.to_thread(server.held))["resident"]
        writer.transport.abort()
        return sent, held

    before = server.held()["resident"]
    sent, held = asyncio.run(flood())
    assert held - before < 32 * 2**20, sent


def test_speech_is_recognised_after_all_of_it(
    server: Server, recognizer: Recognizer, speech: Samples, expected: list[dict[str, Any]]
) -> None:
    pcm = (speech[: 4 * SAMPLE_RATE] * 32767).astype("<i2").tobytes()
    assert final_words(asyncio.run(recite(server.address, pcm, 7))) == expected
