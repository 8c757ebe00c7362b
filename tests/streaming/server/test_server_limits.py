"""Limits hold everywhere: slow and endless uploads, clients that leave, pieces of any size, and a
server that ends in the time that it promises whatever its clients do."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from streaming.server.app import CLOSE_SECONDS, FINISH_SECONDS
from tests.streaming.server.served import Server, httpx, served
from tests.streaming.server.test_server import START, connected, final_words, recite, websockets
from tests.streaming.test_faults import frame, handshake

PATH = "/v1/audio/transcriptions"
PROMISED_SECONDS = FINISH_SECONDS + CLOSE_SECONDS + 3  # and for what a thread is at
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
SMALL = {
    "streams": 8, "streams_per_client": 8, "head_seconds": 1.0, "idle_seconds": 2.0,
    "slow_reader_seconds": 1.0, "body_seconds": 3.0, "body_bytes_per_second": 1000.0,
    "upload_seconds": 60.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(limits=SMALL) as server:
        yield server


@pytest.fixture(scope="module")
def hour() -> bytes:
    """An hour of silence in 180 kB."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3600 * SAMPLE_RATE, np.int16), SAMPLE_RATE, format="FLAC")
    assert len(file.getvalue()) < 200_000
    return file.getvalue()


def head(server: Server, length: int) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: {server.address}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def connection(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def streams(server: Server) -> int:
    return await asyncio.to_thread(server.streams)


async def nobody(server: Server, seconds: float) -> bool:
    """Whether all places are free within so many seconds."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if await streams(server) == 0:
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.mark.parametrize("drip_seconds", [0.0, 0.2], ids=["stalls", "drips"])
def test_a_body_that_does_not_come_gives_its_place_up(server: Server, drip_seconds: float) -> None:
    async def wait() -> bytes:
        reader, writer = await connection(server)
        writer.write(head(server, 10**6) + PART)
        await asyncio.sleep(0.5)
        assert await streams(server) == 1

        async def drip() -> None:
            with suppress(OSError):
                while drip_seconds:
                    writer.write(b"x")
                    await asyncio.sleep(drip_seconds)

        dripping = asyncio.ensure_future(drip())
        answer = await asyncio.wait_for(reader.read(), 12)
        assert await nobody(server, 1)
        dripping.cancel()
        writer.close()
        return answer

    answer = asyncio.run(wait())
    assert answer.startswith(b"HTTP/1.1 408 ") and b"too_slow" in answer


def test_a_body_that_is_slow_but_fast_enough_is_heard(server: Server, pcm: bytes) -> None:
    """It takes longer than a stalled one may, at more than the least rate."""
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2")[:40_000], SAMPLE_RATE, format="WAV")
    body = PART + file.getvalue() + b"\r\n--x--\r\n"

    async def send() -> bytes:
        reader, writer = await connection(server)
        writer.write(head(server, len(body)))
        for start in range(0, len(body), len(body) // 25):
            writer.write(body[start : start + len(body) // 25])
            await asyncio.sleep(0.2)
        return await asyncio.wait_for(reader.read(), 20)

    answer = asyncio.run(send())
    assert answer.startswith(b"HTTP/1.1 200 ") and b"magnificent" in answer


def test_an_upload_whose_client_has_left_is_not_read_on(hour: bytes) -> None:
    body = PART + hour + b"\r\n--x--\r\n"

    async def leave(server: Server) -> None:
        _, writer = await connection(server)
        writer.write(head(server, len(body)) + body)
        await writer.drain()
        await asyncio.sleep(1)
        assert await streams(server) == 1
        writer.transport.abort()
        assert await nobody(server, 3)
        before = work_seconds(server)
        await asyncio.sleep(2)
        assert work_seconds(server) == before

    with served() as server:
        asyncio.run(leave(server))


def work_seconds(server: Server) -> float:
    lines = httpx.get(f"http://{server.address}/metrics").text.splitlines()
    return float(next(x for x in lines if x.startswith("rill_work_seconds_total")).split()[1])


@pytest.mark.parametrize("stream", ["false", "true"])
def test_an_upload_that_lasts_too_long_is_told(server: Server, hour: bytes, stream: str) -> None:
    url = f"http://{server.address}{PATH}"
    began = time.monotonic()
    answer = httpx.post(url, files={"file": hour}, data={"stream": stream}, timeout=60)
    assert "too_long" in answer.text and "60 s" in answer.text
    assert answer.status_code == (413 if stream == "false" else 200)
    assert time.monotonic() - began < 30


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
def test_sound_that_ends_within_a_sample_is_told_after_its_words(
    server: Server, pcm: bytes, expected: list[dict[str, Any]], path: str
) -> None:
    async def send() -> list[dict[str, Any]]:
        told = []
        async with connected(server.address, path) as stream:
            first = START if path == "/v1/stream" else {"config": {"sample_rate": SAMPLE_RATE}}
            last = {"type": "finish"} if path == "/v1/stream" else {"eof": 1}
            for message in (json.dumps(first), pcm + b"\0", json.dumps(last)):
                await stream.send(message)
            try:
                async for message in stream:
                    told.append(json.loads(message))
            except websockets.ConnectionClosedError:
                pass
        return told

    *told, error = asyncio.run(send())
    assert "bad_audio" in error.values() and "last 1 bytes" in error["message"]
    if path == "/v1/stream":
        assert final_words(told) == expected
    else:
        assert [w["word"] for w in told[-1]["result"]] == [w["word"] for w in expected]


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
    body = PART + hour + b"\r\n--x--\r\n"
    writer.write(head(server, len(body)) + body)
    await writer.drain()
    return reader, writer


async def half_a_head(server: Server, hour: bytes) -> Any:
    reader, writer = await connection(server)
    writer.write(b"GET /health HTTP/1.1\r\nHos")
    return reader, writer


async def silent_stream(server: Server, hour: bytes) -> Any:
    """Half-open: answers nothing, not even the close."""
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
    """With the limits of a server as it is installed, so that none of them helps."""

    async def end(server: Server) -> float:
        held = await state(server, hour)
        await asyncio.sleep(1.0)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.process.wait, 60)
        assert held
        return time.monotonic() - began

    with served(wyoming=True) as server:
        seconds = asyncio.run(end(server))
        assert server.process.returncode == 0
        assert seconds < PROMISED_SECONDS
        if state not in (long_upload, words_being_made):  # nothing else is worth waiting for
            assert seconds < 5


def test_sigterm_under_all_of_them_lets_a_voice_say_its_last_words(
    hour: bytes, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    async def end(server: Server) -> list[dict[str, Any]]:
        held = [await state(server, hour) for state in STATES]
        async with connected(server.address) as stream:
            await stream.send(json.dumps(START))
            messages = [json.loads(await stream.recv())]
            await stream.send(pcm)
            messages.append(json.loads(await stream.recv()))
            server.process.send_signal(signal.SIGTERM)
            messages += [json.loads(message) async for message in stream]
        assert held
        return messages

    limits = {"streams_per_client": 20}
    with served(wyoming=True, limits=limits) as server:
        began = time.monotonic()
        messages = asyncio.run(end(server))
        assert final_words(messages) == expected and messages[-1]["type"] == "done"
        assert server.process.wait(timeout=60) == 0
        assert time.monotonic() - began < PROMISED_SECONDS + 5


FAILING = """
import streaming.server.service as service
from streaming.stream import Stream

class Failing(Stream):
    '''Fails where the number of its sample rate says.'''
    def accept(self, samples):
        if self._resampler.sample_rate == 16001: raise ValueError("a secret of the client")
        super().accept(samples)
    def next_chunk(self):
        if self._resampler.sample_rate == 16002: raise MemoryError
        return super().next_chunk()
    def hear(self, *heard):
        if self._resampler.sample_rate == 16003: raise KeyError("a secret of the client")
        return super().hear(*heard)
    def finishing(self):
        if self._resampler.sample_rate == 16004: raise StopIteration
        yield from super().finishing()

service.Stream = Failing
"""


@pytest.mark.parametrize("rate", [16001, 16002, 16003, 16004])
def test_a_fault_in_one_stream_is_told_to_its_client_alone(
    pcm: bytes, expected: list[dict[str, Any]], rate: int
) -> None:
    """Twenty beside it hear their words; the log tells where, without what the client sent."""

    async def bad(server: Server) -> dict[str, Any]:
        last = {}
        async with connected(server.address) as stream:
            try:
                for message in (
                    json.dumps(START | {"sample_rate": rate}),
                    pcm,
                    '{"type":"finish"}',
                ):
                    await stream.send(message)
                async for message in stream:
                    last = json.loads(message)
            except websockets.ConnectionClosedError:
                pass
        assert stream.close_code == 1011
        return last

    async def together(server: Server) -> list[Any]:
        good = [recite(server.address, pcm, 9) for _ in range(20)]
        return await asyncio.gather(bad(server), *good)

    with served(before=FAILING, limits={"streams_per_client": 30}) as server:
        error, *told = asyncio.run(together(server))
        assert error["type"] == "error" and error["code"] == "internal"
        assert [final_words(messages) for messages in told] == [expected] * 20
        assert final_words(asyncio.run(recite(server.address, pcm, 3))) == expected
        assert server.log().count("a fault of Rill ended one stream") == 1
        assert "secret" not in server.log() and "line" in server.log()


def test_a_fault_in_an_upload_is_told_to_its_client_alone(pcm: bytes) -> None:
    before = """
def fails(self, blocks):
    for block in blocks: pass
    raise KeyError("a secret")
    yield
Recognizer.segments = fails
"""
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="WAV")
    with served(before=before) as server:
        answer = httpx.post(f"http://{server.address}{PATH}", files={"file": file.getvalue()})
        assert answer.status_code == 500 and answer.json()["error"]["code"] == "internal"
        streamed = httpx.post(
            f"http://{server.address}{PATH}",
            files={"file": file.getvalue()},
            data={"stream": "true"},
        )
        assert '"error"' in streamed.text and "internal" in streamed.text
        assert server.streams() == 0 and "secret" not in server.log()


def test_an_upload_without_a_temporary_folder_is_told(tmp_path: Any) -> None:
    """More than a MiB of it is kept on disk."""
    before = "import tempfile; tempfile.tempdir = '/nowhere'"
    with served(before=before) as server:
        answer = httpx.post(f"http://{server.address}{PATH}", files={"file": bytes(2**22)})
        assert answer.status_code == 507 and answer.json()["error"]["code"] == "no_space"
        assert server.streams() == 0 and server.log() == ""


@pytest.mark.parametrize("options", [("--port",), ("--port", "0", "--wyoming")])
def test_an_address_that_is_taken_is_told_in_one_line(options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        last = f"tcp://127.0.0.1:{port}" if "--wyoming" in options else str(port)
        command = [sys.executable, "-m", "asr.cli.main", "serve", *options, last]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 2 and str(port) in done.stderr
    assert done.stderr.count("\n") == 1 and "in use" in done.stderr.lower()


def test_a_client_that_floods_with_pings_and_reads_nothing_is_ended(server: Server) -> None:
    """Each would be answered, into a buffer without end."""
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


def test_speech_is_heard_after_all_of_it(
    server: Server, recognizer: Recognizer, speech: Samples, expected: list[dict[str, Any]]
) -> None:
    pcm = (speech[: 4 * SAMPLE_RATE] * 32767).astype("<i2").tobytes()
    assert final_words(asyncio.run(recite(server.address, pcm, 7))) == expected
