"""Requests to OpenAI's address and Wyoming events, damaged at random: as test_bad_messages.py."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE
from tests.streaming.server.bad_messages import (
    LIMITS,
    all_of,
    check_server,
    damaged,
    odd_object,
)
from tests.streaming.server.served import Server, served
from tests.streaming.server.uploads import PATH


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(limits=LIMITS, wyoming=True) as server:
        yield server


def test_requests_to_openai_s_address(
    server: Server, pcm: bytes, expected: list[dict[str, Any]], choose: random.Random, request: Any
) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm[:20_000], "<i2"), SAMPLE_RATE, format="FLAC")
    fields = {
        "model": "x", "language": "en", "response_format": "json", "temperature": "0",
        "stream": "false", "prompt": "", "timestamp_granularities[]": "",
    }  # fmt: skip

    def bad_request() -> bytes:
        sound = file.getvalue()
        if choose.random() < 0.2:
            sound = damaged(sound, choose)
        parts: dict[str, Any] = {n: v for n, v in fields.items() if choose.random() < 0.5}
        if choose.random() < 0.4:
            parts = odd_object(parts or fields, choose)
        body = b"".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode(
                "utf-8", "replace"
            )
            for name, value in parts.items()
        )
        body += b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
        body += sound + b"\r\n--x--\r\n"
        if choose.random() < 0.2:
            body = damaged(body, choose)
        length = len(body) + choose.choice((0, 0, 0, 0, 0, 0, 0, 5, -5))
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {server.address}\r\nConnection: close\r\n"
            f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n"
        ).encode()
        if choose.random() < 0.2:
            head = damaged(head, choose)
        return head + body

    async def ask(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(data)
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    count = request.config.getoption("--bad-messages")
    asked = [bad_request() for _ in range(count)]
    answers = all_of([lambda data=data: ask(data) for data in asked])
    statuses = Counter(answer[9:12].decode("latin-1") for answer in answers)
    print("answered with", dict(statuses))
    for data, answer in zip(asked, answers):
        status = answer[9:12]
        assert status[:1] in (b"2", b"4", b"3", b""), (data[:500], answer[:500])
        if status in (b"400", b"413", b"415") and b"application/json" in answer:
            # What lies beyond Content-Length is a second request, and has an answer of its own.
            body = answer.partition(b"\r\n\r\n")[2].decode("utf-8")
            message = json.JSONDecoder().raw_decode(body)[0]["error"]["message"]
            assert message and len(message) < 600
    assert statuses["200"] > 5 and len(statuses) > 1
    check_server(server, pcm, expected)


def test_events_of_wyoming(
    server: Server, pcm: bytes, expected: list[dict[str, Any]], choose: random.Random, request: Any
) -> None:
    form = {"rate": 16000, "width": 2, "channels": 1}
    events: list[tuple[dict[str, Any], bytes]] = [
        ({"type": "describe"}, b""),
        ({"type": "transcribe", "data": {"language": "en", "transcript_names": []}}, b""),
        ({"type": "audio-start", "data": form}, b""),
        ({"type": "audio-chunk", "data": form}, pcm[:8000]),
        ({"type": "audio-chunk", "data": form}, pcm[8000:8999]),
        ({"type": "ping", "data": {"text": "x"}}, b""),
        ({"type": "audio-stop", "data": {}}, b""),
    ]

    def bad_events() -> bytes:
        data = b""
        chosen = [event for event in events if choose.random() < 0.9]
        if choose.random() < 0.3:
            choose.shuffle(chosen)
        for header, payload in chosen:
            header = dict(header)
            if payload:
                header["payload_length"] = len(payload)
            if choose.random() < 0.2:
                header = odd_object(header | {"data_length": 0}, choose)
            line = json.dumps(header).encode() + b"\n" + payload
            data += damaged(line, choose) if choose.random() < 0.1 else line
        return data

    async def ask(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.wyoming_port)
        try:
            writer.write(data)
            writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    asked = [bad_events() for _ in range(request.config.getoption("--bad-messages"))]
    answers = all_of([lambda data=data: ask(data) for data in asked])
    print("errors:", sum(b'"error"' in answer for answer in answers), "of", len(answers))
    for data, answer in zip(asked, answers):
        assert answer.count(b'"type": "error"') <= 1, (data, answer)
    assert sum(b"transcript" in answer for answer in answers) > 5
    assert sum(b'"error"' in answer for answer in answers) > 5
    check_server(server, pcm, expected)
