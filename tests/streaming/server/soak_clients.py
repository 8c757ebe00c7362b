"""Clients of all protocols for the soak test: honest ones, and hostile ones."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE
from tests.streaming.server.served import Server, httpx
from tests.streaming.server.test_server import START, connected, final_words
from tests.streaming.server.uploads import PATH
from tests.streaming.test_faults import RUDE, frame, handshake

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
