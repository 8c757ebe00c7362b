"""Many clients of all protocols, a third of them hostile: nothing of them stays in the server, and
each honest one receives the words of a stream alone.

    pytest tests/streaming/server/test_soak.py --connections 300 -s
    pytest tests/streaming/server/test_soak.py -m slow -s          1,000 of them
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE
from asr.recognizer import Recognizer
from streaming.events import Final
from streaming.stream import Stream
from tests.streaming.server.served import Server, httpx, served
from tests.streaming.server.test_server import START, connected, final_words, websockets
from tests.streaming.test_faults import (
    COUNTED,
    MEBIBYTE,
    RUDE,
    frame,
    handshake,
)

AT_ONCE = 30
PATH = "/v1/audio/transcriptions"
LIMITS = {
    "streams": 100, "streams_per_client": 100, "head_seconds": 5.0, "idle_seconds": 4.0,
    "slow_reader_seconds": 3.0, "body_seconds": 2.0,
}  # fmt: skip
GONE = (OSError, websockets.WebSocketException, asyncio.IncompleteReadError, httpx.HTTPError)

Client = Callable[[Server, bytes, random.Random], Awaitable[Any]]


def a_cut(pcm: bytes, choose: random.Random) -> list[bytes]:
    """Pieces of any number of bytes."""
    pieces, at = [], 0
    while at < len(pcm):
        size = choose.choice((choose.randrange(1, 400), choose.randrange(1, 40_000), 3201))
        pieces.append(pcm[at : at + size])
        at += size
    return pieces


async def rill(server: Server, pcm: bytes, choose: random.Random) -> list[str]:
    async with connected(server.address) as stream:
        await stream.send(json.dumps(START))
        for piece in a_cut(pcm, choose):
            await stream.send(piece)
        await stream.send('{"type": "finish"}')
        messages = [json.loads(message) async for message in stream]
    assert messages[-1]["type"] == "done", messages[-1]
    return [word["word"] for word in final_words(messages)]


async def vosk(server: Server, pcm: bytes, choose: random.Random) -> list[str]:
    words: list[str] = []
    async with connected(server.address, "/") as stream:
        await stream.send(json.dumps({"config": {"sample_rate": SAMPLE_RATE}}))
        for message in [*a_cut(pcm, choose), '{"eof": 1}']:
            await stream.send(message)
            words += json.loads(await stream.recv()).get("text", "").split()
    return words


async def wyoming(server: Server, pcm: bytes, choose: random.Random) -> list[str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.wyoming_port)
    form = {"rate": SAMPLE_RATE, "width": 2, "channels": 1}
    writer.write(json.dumps({"type": "audio-start", "data": form}).encode() + b"\n")
    for piece in a_cut(pcm, choose):
        event = {"type": "audio-chunk", "data": form, "payload_length": len(piece)}
        writer.write(json.dumps(event).encode() + b"\n" + piece)
    writer.write(b'{"type": "audio-stop"}\n')
    text = ""
    while line := await reader.readline():
        event = json.loads(line)
        data = json.loads(await reader.readexactly(event.get("data_length") or 0) or b"{}")
        if event["type"] == "transcript":
            text = data["text"]
            break
    writer.close()
    return str(text).split()


async def upload(server: Server, pcm: bytes, choose: random.Random) -> list[str]:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="FLAC")
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(
            f"http://{server.address}{PATH}", files={"file": file.getvalue()}
        )
    return str(answer.json()["text"]).split()


HONEST: tuple[Client, ...] = (rill, rill, rill, vosk, wyoming, upload)


async def garbage_frames(server: Server, pcm: bytes, choose: random.Random) -> None:
    _, writer = await handshake(server.address)
    writer.write(frame(1, json.dumps(START).encode()) + choose.randbytes(choose.randrange(1, 5000)))
    await asyncio.sleep(choose.random())
    writer.transport.abort()


async def a_frame_that_says_it_is_huge(server: Server, pcm: bytes, choose: random.Random) -> None:
    reader, writer = await handshake(server.address)
    writer.write(b"\x82\xff" + (2 ** choose.randrange(22, 63)).to_bytes(8, "big") + bytes(100))
    with suppress(TimeoutError):
        await asyncio.wait_for(reader.read(), 5)
    writer.transport.abort()


async def a_huge_message(server: Server, pcm: bytes, choose: random.Random) -> None:
    async with connected(server.address) as stream:
        await stream.send(json.dumps(START))
        await stream.send(bytes(choose.randrange(2**20, 2**22)))
        async for _ in stream:
            pass


async def wrong_json(server: Server, pcm: bytes, choose: random.Random) -> None:
    async with connected(server.address, choose.choice(("/", "/v1/stream"))) as stream:
        whole = json.dumps(START)
        await stream.send(
            whole[: choose.randrange(len(whole))] + choose.choice(("", "}", "\ud7ff"))
        )
        async for _ in stream:
            pass


async def odd_bytes_and_away(server: Server, pcm: bytes, choose: random.Random) -> None:
    async with connected(server.address) as stream:
        await stream.send(json.dumps(START))
        for piece in a_cut(pcm, choose)[: choose.randrange(1, 9)]:
            await stream.send(piece)
        await stream.send(b"\0" * choose.choice((1, 3, 4001)))
        stream.transport.abort()


async def no_numbers(server: Server, pcm: bytes, choose: random.Random) -> None:
    async with connected(server.address) as stream:
        await stream.send(json.dumps(START | {"encoding": "float32"}))
        sound = (np.frombuffer(pcm, "<i2") / 2**15).astype("<f4")[:30_000]
        sound[choose.randrange(len(sound))] = choose.choice((np.nan, np.inf, -np.inf))
        await stream.send(sound.tobytes())
        async for message in stream:
            assert json.loads(message)["type"] in ("ready", "partial", "error")


async def a_stalled_body(server: Server, pcm: bytes, choose: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: {server.address}\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode()
    )
    if choose.random() < 0.5:
        await asyncio.wait_for(reader.read(), 10)
    writer.transport.abort()


async def an_upload_and_away(server: Server, pcm: bytes, choose: random.Random) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + pcm
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: {server.address}\r\nContent-Length: {len(body) + 9}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
        + body
        + b"\r\n--x--\r\n"[: choose.randrange(10)]
    )
    await asyncio.sleep(choose.random())
    writer.transport.abort()


async def no_http(server: Server, pcm: bytes, choose: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(choose.randbytes(choose.randrange(1, 2000)) + b"\r\n\r\n")
    with suppress(TimeoutError):
        await asyncio.wait_for(reader.read(), 5)
    writer.transport.abort()


async def no_wyoming(server: Server, pcm: bytes, choose: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.wyoming_port)
    writer.write(
        choose.choice(
            (
                choose.randbytes(500) + b"\n",
                b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n',
                b'{"type": "audio-chunk", "payload_length": 9999999}\n',
                b'{"type": "audio-chunk", "payload_length": 100}\nx',
            )
        )
    )
    if choose.random() < 0.5:
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(), 5)
    writer.transport.abort()


def on_a_stream(rude: Callable[[str, bytes], Awaitable[None]]) -> Client:
    async def hostile(server: Server, pcm: bytes, choose: random.Random) -> None:
        await rude(server.address, pcm)

    hostile.__name__ = rude.__name__
    return hostile


HOSTILE: tuple[Client, ...] = (
    *map(on_a_stream, RUDE),
    garbage_frames, a_frame_that_says_it_is_huge, a_huge_message, wrong_json, odd_bytes_and_away,
    no_numbers, a_stalled_body, an_upload_and_away, no_http, no_wyoming,
)  # fmt: skip


async def soak(server: Server, pcm: bytes, count: int, seed: int) -> list[tuple[str, Any]]:
    """Run this many clients, `AT_ONCE` at a time; the results of the honest ones."""
    slots = asyncio.Semaphore(AT_ONCE)
    results: list[tuple[str, Any]] = []

    async def client(number: int) -> None:
        choose = random.Random(seed + number)
        async with slots:
            if number % 3 == 0:
                with suppress(*GONE):
                    await choose.choice(HOSTILE)(server, pcm, choose)
                return
            honest = choose.choice(HONEST)
            try:
                results.append(
                    (honest.__name__, await asyncio.wait_for(honest(server, pcm, choose), 60))
                )
            except Exception as error:
                results.append((honest.__name__, repr(error)))

    await asyncio.gather(*map(client, range(count)))
    return results


async def settled(server: Server, limit: dict[str, int]) -> dict[str, int]:
    for _ in range(150):
        nobody = await asyncio.to_thread(server.streams) == 0
        held = await asyncio.to_thread(server.held)
        if nobody and all(held[what] <= limit[what] for what in COUNTED):
            break
        await asyncio.sleep(0.1)
    return held


def run_soak(recognizer: Recognizer, pcm: bytes, count: int) -> None:
    pcm = pcm[: 5 * SAMPLE_RATE]  # 2.5 s
    seed = int(os.environ.get("RILL_SEED") or secrets.randbelow(2**32))
    print(f"seed {seed}: RILL_SEED={seed} repeats it")
    stream = Stream(recognizer)
    events = [*stream.push(np.frombuffer(pcm, "<i2")), stream.finish()]
    expected = [w.word for event in events if isinstance(event, Final) for w in event.words]
    sound = (np.frombuffer(pcm, "<i2") / 2**15).astype(np.float32)
    offline = recognizer.transcribe(sound).text.split()
    assert len(expected) > 2
    with served(limits=LIMITS, wyoming=True) as server:
        asyncio.run(soak(server, pcm, 30, seed + 10**6))  # warms up
        warm = server.held()
        warm["threads"] += 2
        before = asyncio.run(settled(server, warm | {"tasks": 8}))
        before["threads"] += 2  # of pools of a fixed size, whose threads start when first needed
        started = time.monotonic()
        results = asyncio.run(soak(server, pcm, count, seed))
        seconds = time.monotonic() - started
        wrong = [
            (name, words)
            for name, words in results
            if words != (offline if name == "upload" else expected)
        ]
        assert not wrong, (len(wrong), wrong[:3])
        assert len(results) == count - len(range(0, count, 3))
        after = asyncio.run(settled(server, before))
        print(
            f"{count} connections in {seconds:.0f} s, "
            f"honest: {dict(Counter(n for n, _ in results))}"
        )
        for when, held in (("before", before), ("after", after)):
            shown = {what: held[what] for what in COUNTED}
            print(f"{when}: {shown}, {held['resident'] / MEBIBYTE:.0f} MiB")
        for what in COUNTED:
            assert after[what] <= before[what], (what, before, after)
        assert after["resident"] - before["resident"] < 48 * MEBIBYTE


def test_clients_of_whom_a_third_is_hostile_leave_nothing_behind(
    recognizer: Recognizer, pcm: bytes, request: pytest.FixtureRequest
) -> None:
    run_soak(recognizer, pcm, request.config.getoption("--connections"))


@pytest.mark.slow
def test_a_thousand_of_them_leave_nothing_behind(recognizer: Recognizer, pcm: bytes) -> None:
    run_soak(recognizer, pcm, 1000)
