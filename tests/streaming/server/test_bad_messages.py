"""Messages of every protocol, cut, shuffled and damaged at random: one clear error or a result,
never an exception in the log, never a hang, and the next honest client has its words.

    pytest tests/streaming/server/test_bad_messages.py --bad-messages 2000
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
import re
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import soundfile

import asr.audio
from asr.audio import SAMPLE_RATE
from streaming.server.audio.ogg_opus import checksum
from tests.streaming.server.bad_messages import (
    LIMITS,
    Message,
    all_of,
    check_server,
    conversation,
)
from tests.streaming.server.served import Server, served
from tests.streaming.server.test_server import START, websockets
from tests.streaming.test_faults import handshake

CLOSES = {1000, 1002, 1007, 1009, *range(4400, 4430)}  # as documented, and those of RFC 6455


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(limits=LIMITS, wyoming=True) as server:
        yield server


async def send(server: Server, path: str, messages: list[Message]) -> tuple[list[Any], int]:
    """All messages of the server, and the code of the close."""
    received: list[Any] = []
    async with websockets.connect(f"ws://{server.address}{path}", open_timeout=30) as stream:

        async def read() -> None:
            async for message in stream:
                received.append(json.loads(message))

        receiver = asyncio.ensure_future(read())
        with suppress(websockets.ConnectionClosed):
            for message in messages:
                await stream.send(message)
                await asyncio.sleep(0)
        with suppress(websockets.ConnectionClosedError):
            await receiver
    return received, int(stream.close_code)


async def raw_frames(server: Server, path: str, data: bytes) -> tuple[list[Any], int]:
    """Bytes where frames are expected; the code of the close frame, or 1002 without one."""
    reader, writer = await handshake(server.address)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    found = re.search(rb"\x88[\x02-\x7d](..)", answer, re.DOTALL)
    return [], struct.unpack("!H", found[1])[0] if found else 1002


def opus(pcm: bytes) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="OGG", subtype="OPUS")
    return file.getvalue()


def whole_conversations(pcm: bytes, path: str, encoding: str) -> list[Message | dict[str, Any]]:
    if path == "/":
        config = {"sample_rate": 16000, "words": True, "max_alternatives": 2}
        phrases = {"phrase_list": ["magnificent room", "[unk]"], "partial_words": 1}
        return [
            {"config": config},
            pcm[:6400],
            pcm[:99],
            {"config": phrases},
            {"reset": 1},
            pcm[:6400],
            {"eof": 1},
        ]
    if path == "/v1/realtime":
        session = {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": {"model": "x", "language": "en", "keywords": ["rill"]},
                    "turn_detection": {"type": "server_vad", "threshold": 0.5},
                }
            },
        }
        audio = base64.b64encode(pcm[:6400]).decode()
        return [
            {"type": "session.update", "session": session, "event_id": "e"},
            {"type": "input_audio_buffer.append", "audio": audio},
            {"type": "input_audio_buffer.commit"},
            {"type": "input_audio_buffer.clear"},
        ]
    start: dict[str, Any] = START | {"encoding": encoding, "words": [], "silence": 1.2}
    sound = pcm[:20_000]
    if encoding == "float32":
        sound = (np.frombuffer(sound, "<i2") / 2**15).astype("<f4").tobytes()
    if encoding == "opus-in-ogg":
        del start["sample_rate"]
        sound = opus(sound)
    return [start, sound[:3201], {"type": "keepalive"}, sound[3201:], {"type": "finish"}]


@pytest.mark.parametrize(
    ("path", "encoding"),
    [
        ("/v1/stream", "pcm16"),
        ("/v1/stream", "float32"),
        ("/v1/stream", "opus-in-ogg"),
        ("/", ""),
        ("/v1/realtime", ""),
    ],
    ids=["pcm16", "float32", "opus-in-ogg", "vosk", "realtime"],
)
def test_messages_of_a_websocket(
    server: Server,
    pcm: bytes,
    expected: list[dict[str, Any]],
    choose: random.Random,
    request: pytest.FixtureRequest,
    path: str,
    encoding: str,
) -> None:
    if encoding == "opus-in-ogg":
        pytest.importorskip("av")
    if encoding == "float32" and not hasattr(asr.audio, "LOUDEST_SAMPLE"):
        pytest.skip("floats without a bound overflow the log-mel")
    whole = whole_conversations(pcm, path, encoding)
    asked: list[list[Message] | bytes] = []
    for _ in range(request.config.getoption("--bad-messages")):
        messages = conversation(whole, choose)
        if choose.random() < 0.1:
            asked.append(choose.randbytes(choose.randrange(1, 300)))
        else:
            asked.append(messages)
    answers = all_of(
        [
            lambda it=it: (
                raw_frames(server, path, it) if isinstance(it, bytes) else send(server, path, it)
            )
            for it in asked
        ]
    )
    codes = Counter(code for _, code in answers)
    print("closed with", dict(codes))
    for messages, (received, code) in zip(asked, answers):
        assert code in CLOSES, (code, messages, received)
        if code >= 4400:
            last = received[-1]
            text = last.get("error", last)["message"] if path == "/v1/realtime" else last["message"]
            assert text and "\n" not in text and len(text) < 400, last
        elif code == 1000 and path == "/v1/stream":
            assert received[-1]["type"] == "done", (messages, received)
    assert len(codes) > 1
    check_server(server, pcm, expected)


def test_damaged_ogg_pages_with_correct_checksums(
    server: Server, pcm: bytes, expected: list[dict[str, Any]], choose: random.Random, request: Any
) -> None:
    """The damage reaches the parser: headers, tables, flags, packets."""
    pytest.importorskip("av")
    data = opus(pcm[:20_000])
    starts = [found.start() for found in re.finditer(b"OggS", data)]
    pages = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)])]

    def bad_sound() -> bytes:
        sound = b""
        chosen = list(pages)
        for _ in range(choose.choice((0, 1))):
            chosen[choose.randrange(len(chosen))] = choose.choice(pages)
        for page in chosen:
            if choose.random() < 0.5:
                changed = bytearray(page)
                for _ in range(choose.choice((1, 2, 5))):
                    at = choose.choice((5, choose.randrange(4, len(changed)), 26, 28, 40))
                    changed[at % len(changed)] = choose.randrange(256)
                changed[22:26] = struct.pack("<I", checksum(bytes(changed)))
                page = bytes(changed)
            sound += page
        return sound

    start = json.dumps({"type": "start", "encoding": "opus-in-ogg"})
    answers = all_of(
        [
            lambda sound=bad_sound(): send(
                server, "/v1/stream", [start, sound, '{"type": "finish"}']
            )
            for _ in range(request.config.getoption("--bad-messages"))
        ]
    )
    print("closed with", dict(Counter(code for _, code in answers)))
    for received, code in answers:
        assert code in (1000, 4400), (code, received)
        last = received[-1]
        assert last["type"] == "done" if code == 1000 else last["code"] == "bad_audio", received
    check_server(server, pcm, expected)
