"""SIGTERM ends the server in the promised time, whatever state its clients are in."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streaming.server.running import CLOSE_SECONDS, FINISH_SECONDS
from tests.streaming.server.served import Server, served
from tests.streaming.server.test_server import START, connected, final_words, start_server
from tests.streaming.server.uploads import END, PART, connection, head, hour_of_silence
from tests.streaming.test_faults import frame, handshake

PROMISED_SECONDS = FINISH_SECONDS + CLOSE_SECONDS + 3  # 3 s for the current turn of a thread


@pytest.fixture(scope="module")
def hour() -> bytes:
    return hour_of_silence()


async def stalled_body(server: Server, hour: bytes) -> Any:
    reader, writer = await connection(server)
    writer.write(head(server, 10**6) + PART)
    return reader, writer


async def dripping_body(server: Server, hour: bytes) -> Any:
    reader, writer = await stalled_body(server, hour)

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.1)

    return reader, writer, asyncio.ensure_future(drip())


async def long_upload(server: Server, hour: bytes) -> Any:
    reader, writer = await connection(server)
    body = PART + hour + END
    writer.write(head(server, len(body)) + body)
    await writer.drain()
    return reader, writer


async def half_a_head(server: Server, hour: bytes) -> Any:
    reader, writer = await connection(server)
    writer.write(b"GET /health HTTP/1.1\r\nHos")
    return reader, writer


async def silent_stream(server: Server, hour: bytes) -> Any:
    """Half-open: reads nothing and does not answer the close."""
    reader, writer = await handshake(server.address)
    writer.write(frame(1, json.dumps(START).encode()) + frame(2, bytes(40_000)))
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return reader, writer


async def half_a_message(server: Server, hour: bytes) -> Any:
    reader, writer = await handshake(server.address)
    writer.write(frame(1, json.dumps(START).encode()) + frame(2, bytes(40_000))[:9_000])
    return reader, writer


async def no_start(server: Server, hour: bytes) -> Any:
    return await handshake(server.address)


async def wyoming_in_an_event(server: Server, hour: bytes) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.wyoming_port)
    writer.write(b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n')
    writer.write(b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, ')
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return reader, writer


async def words_being_made(server: Server, hour: bytes) -> Any:
    reader, writer = await handshake(server.address)
    words = [f"z{chr(97 + n // 26)}{chr(97 + n % 26)}wibblet" for n in range(600)]
    writer.write(frame(1, json.dumps(START | {"words": words}).encode()))
    return reader, writer


STATES: tuple[Callable[[Server, bytes], Awaitable[Any]], ...] = (
    stalled_body, dripping_body, long_upload, half_a_head, silent_stream, half_a_message, no_start,
    wyoming_in_an_event, words_being_made,
)  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_sigterm_ends_the_server_in_the_promised_time(
    hour: bytes, state: Callable[[Server, bytes], Awaitable[Any]]
) -> None:
    """With the default limits, which are longer than the promised time."""

    async def end(server: Server) -> float:
        opened = await state(server, hour)
        await asyncio.sleep(1.0)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.process.wait, 60)
        assert opened
        return time.monotonic() - started

    with served(wyoming=True) as server:
        seconds = asyncio.run(end(server))
        assert server.process.returncode == 0
        assert seconds < PROMISED_SECONDS
        if state not in (long_upload, words_being_made):  # only these two have running work
            assert seconds < 5


def test_sigterm_during_all_of_them_lets_a_stream_emit_its_last_words(
    hour: bytes, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    async def end(server: Server) -> list[dict[str, Any]]:
        opened = [await state(server, hour) for state in STATES]
        async with connected(server.address) as stream:
            await stream.send(json.dumps(START))
            messages = [json.loads(await stream.recv())]
            await stream.send(pcm)
            messages.append(json.loads(await stream.recv()))
            server.process.send_signal(signal.SIGTERM)
            messages += [json.loads(message) async for message in stream]
        assert opened
        return messages

    limits = {"streams_per_client": 20}
    with served(wyoming=True, limits=limits) as server:
        started = time.monotonic()
        messages = asyncio.run(end(server))
        assert final_words(messages) == expected and messages[-1]["type"] == "done"
        assert server.process.wait(timeout=60) == 0
        assert time.monotonic() - started < PROMISED_SECONDS + 5


def test_a_server_that_ends_lets_streams_emit_their_last_words(
    pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    process, address = start_server()

    async def cut_short() -> list[dict[str, Any]]:
        async with connected(address) as socket:
            await socket.send(json.dumps(START))
            await socket.recv()
            await socket.send(pcm)
            messages = [json.loads(await socket.recv())]  # it has been recognised
            process.send_signal(signal.SIGTERM)
            messages += [json.loads(message) async for message in socket]
        return messages

    messages = asyncio.run(cut_short())
    assert final_words(messages) == expected and messages[-1]["type"] == "done"
    assert process.wait(timeout=20) == 0
