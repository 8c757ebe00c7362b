"""The server as its clients see it: the words of files, and no client affects another."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from tests.conftest import DEMO

httpx = pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets")
pytest.importorskip("uvicorn")

TOKEN = "open-sesame"
START = {"type": "start", "sample_rate": SAMPLE_RATE}


def start_server(*options: str, token: str = "") -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "asr.cli.main", "serve", "--port", "0", *options]
    environment = os.environ | ({"RILL_TOKEN": token} if token else {})
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "listening at http://127.0.0.1:" in line, line
    return process, line.split("//")[1].strip().rstrip("/")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server with three streams."""
    process, address = start_server("--streams", "3")
    yield address
    process.terminate()
    assert process.wait(timeout=20) == 0


@asynccontextmanager
async def connected(address: str, path: str = "/v1/stream", **options: Any) -> AsyncIterator[Any]:
    async with websockets.connect(f"ws://{address}{path}", **options) as socket:
        yield socket


async def recite(address: str, pcm: bytes, pieces: int, **start: Any) -> list[dict[str, Any]]:
    """All messages of a stream whose audio is sent in this many pieces."""
    async with connected(address) as socket:
        await socket.send(json.dumps(START | start))
        messages = [json.loads(await socket.recv())]
        size = len(pcm) // pieces // 2 * 2
        for start in range(0, len(pcm), size):
            await socket.send(pcm[start : start + size])
        await socket.send('{"type": "finish"}')
        messages += [json.loads(message) async for message in socket]
        assert socket.close_code == 1000
    return messages


def final_words(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    finals = [message for message in messages if message["type"] == "final"]
    return [
        {key: value for key, value in word.items() if key != "confidence"}
        for final in finals
        for word in final["words"]
    ]


def test_a_stream_has_the_words_of_the_recogniser(
    server: str, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    messages = asyncio.run(recite(server, pcm, 37))
    assert messages[0] == {"type": "ready", "latency_ms": 235, "chunk_ms": 120}
    assert any(message["type"] == "partial" and message["text"] for message in messages)
    assert messages[-1] == {"type": "done", "duration": 4.0}
    assert final_words(messages) == expected and len(expected) > 3


def test_streams_in_parallel_have_the_words_of_each_alone(
    server: str, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    async def together() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(recite(server, pcm, n) for n in (3, 50, 11)))

    assert [final_words(messages) for messages in asyncio.run(together())] == [expected] * 3


@pytest.mark.parametrize("text", ["written", "spoken"])
def test_a_client_chooses_the_text(server: str, pcm: bytes, text: str) -> None:
    messages = asyncio.run(recite(server, pcm, 9, format_text=text))
    first = next(m for m in messages if m["type"] == "final" and m["text"])
    assert first["text"] == first["text"].lower()
    assert (first["formatted"] == first["text"]) == (text == "spoken")
    assert ("written" in first) == (text == "written")


def test_float_samples_and_custom_words(server: str, speech: Samples) -> None:
    """The spoken words "which appeared" are one invented name."""
    words = ["whichuppeared  W IH CH AH P IH R D  :2"]
    sound = speech.astype("<f4").tobytes()
    messages = asyncio.run(recite(server, sound, 8, encoding="float32", words=words))
    assert "whichuppeared" in " ".join(m["text"] for m in messages if m["type"] == "final")


BAD = {
    "sound first": [b"\0\0"],
    "no JSON": ["{"],
    "no object": ["[1]"],
    "deep JSON": ["[" * 100_000],
    "no rate": ['{"type": "start"}'],
    "no such text": ['{"type": "start", "sample_rate": 16000, "format_text": "sung"}'],
    "a text for a rate": ['{"type": "start", "sample_rate": "16000"}'],
    "an absurd rate": ['{"type": "start", "sample_rate": 1e9}'],
    "a rate that is no number": ['{"type": "start", "sample_rate": NaN}'],
    "an unknown setting": [json.dumps(START | {"beam": 10})],
    "an unknown encoding": [json.dumps(START | {"encoding": "mp3"})],
    "a word that cannot be spelled": [json.dumps(START | {"words": ["c3po"]})],
    "an empty word": [json.dumps(START | {"words": [""]})],
    "a word of 100,000 letters": [json.dumps(START | {"words": ["a" * 100_000]})],
    "half a sample": [json.dumps(START), b"\0\0\0", '{"type": "finish"}'],
    "text for sound": [json.dumps(START), "hello"],
    "NaN": [json.dumps(START | {"encoding": "float32"}), np.float32([np.nan]).tobytes()],
    "too much": [json.dumps(START), bytes(2**20 + 2)],
    "too fast": [json.dumps(START), *[bytes(2**20)] * 3],
}


@pytest.mark.parametrize("messages", BAD.values(), ids=BAD)
def test_an_invalid_message_is_reported_before_the_close(server: str, messages: list[Any]) -> None:
    async def misbehave() -> tuple[dict[str, Any], int]:
        last: dict[str, Any] = {}
        async with connected(server) as socket:
            try:
                for message in messages:
                    await socket.send(message)
                async for message in socket:
                    last = json.loads(message)
            except websockets.ConnectionClosedError:
                pass
        return last, socket.close_code

    last, code = asyncio.run(misbehave())
    assert last["type"] == "error" and last["message"]
    assert code in (1009, *range(4400, 4410))


def test_clients_that_vanish_do_not_affect_others(
    server: str, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    async def vanish() -> None:
        socket = await websockets.connect(f"ws://{server}/v1/stream")
        await socket.send(json.dumps(START))
        await socket.recv()
        await socket.send(pcm)
        socket.transport.abort()

    async def among_others() -> list[dict[str, Any]]:
        messages, *_ = await asyncio.gather(recite(server, pcm, 20), vanish(), vanish())
        return messages

    for _ in range(3):  # streams that stay open would exceed the limit
        assert final_words(asyncio.run(among_others())) == expected


def test_more_streams_than_the_limit_are_refused(server: str) -> None:
    async def crowd() -> tuple[dict[str, Any], int]:
        async with connected(server) as a, connected(server) as b, connected(server) as c:
            for socket in (a, b, c):
                await socket.send(json.dumps(START))
                await socket.recv()
            async with connected(server) as one_more:
                refused = json.loads(await one_more.recv())
                await one_more.wait_closed()
                return refused, one_more.close_code

    refused, code = asyncio.run(crowd())
    assert refused["code"] == "busy" and code == 4429


@pytest.mark.parametrize("wanted", ["json", "text", "srt", "vtt", "verbose_json"])
def test_openai_s_request_is_answered(server: str, recognizer: Recognizer, wanted: str) -> None:
    transcript = recognizer.transcribe(DEMO)
    fields = {"model": "any", "response_format": wanted}
    with DEMO.open("rb") as file:
        answer = httpx.post(
            f"http://{server}/v1/audio/transcriptions", data=fields, files={"file": file}
        )
    assert answer.status_code == 200
    if "json" in wanted:
        assert answer.json()["text"] == transcript.formatted
    else:
        first, *_, last = transcript.text.split()
        assert first in answer.text.lower() and last in answer.text


def test_the_openai_package_is_served(server: str, recognizer: Recognizer) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"http://{server}/v1", api_key="none")
    ask = client.audio.transcriptions.create
    transcript = recognizer.transcribe(DEMO)
    with DEMO.open("rb") as file:
        answer = ask(
            file=file,
            model="rill",
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
    assert answer.text == transcript.formatted
    assert [word.word.lower() for word in answer.words] == [word.word for word in transcript.words]
    assert answer.segments[0].end == pytest.approx(transcript.words[-1].end, abs=0.01)
    with DEMO.open("rb") as file:
        events = list(ask(file=file, model="rill", stream=True))
    assert "".join(e.delta for e in events if e.type.endswith("delta")) == transcript.formatted
    assert events[-1].text == transcript.formatted


@pytest.mark.parametrize(
    ("fields", "data", "status", "reason"),
    [
        ({}, None, 400, "file"),
        ({}, b"not sound", 400, "notes.mp3"),
        ({"hotwords": "x1"}, b"RIFF", 400, "x1"),
        ({"response_format": "xml"}, b"RIFF", 400, "verbose_json"),
        ({"language": "de"}, b"RIFF", 400, "English"),
        ({"stream": "true", "response_format": "srt"}, b"RIFF", 400, "json"),
    ],
)
def test_an_invalid_request_is_reported(
    server: str, fields: dict[str, str], data: bytes | None, status: int, reason: str
) -> None:
    files = {"file": ("notes.mp3", data)} if data else {"other": ("x", b"y")}
    answer = httpx.post(f"http://{server}/v1/audio/transcriptions", data=fields, files=files)
    assert answer.status_code == status
    assert reason in answer.json()["error"]["message"]


def test_health_metrics_and_headers(server: str) -> None:
    health = httpx.get(f"http://{server}/health")
    assert health.json()["status"] == "ok" and health.json()["streams"] == 0
    assert "default-src 'self'" in health.headers["content-security-policy"]
    metrics = httpx.get(f"http://{server}/metrics").text
    for name in ("rill_heard_seconds_total", "rill_delay_seconds_bucket", "rill_streams"):
        assert name in metrics


def test_a_client_without_access_is_refused() -> None:
    process, address = start_server(token=TOKEN)
    try:
        post = f"http://{address}/v1/audio/transcriptions"
        assert httpx.post(post, files={"file": b"x"}).status_code == 401
        wrong = {"authorization": "Bearer sesame"}
        assert httpx.post(post, files={"file": b"x"}, headers=wrong).status_code == 401
        right = {"authorization": f"Bearer {TOKEN}"}
        assert httpx.post(post, files={"file": b"x"}, headers=right).status_code == 400

        async def close_code(path: str, **options: Any) -> int:
            async with connected(address, path, **options) as socket:
                try:
                    await socket.send(json.dumps(START))
                    while json.loads(await socket.recv())["type"] == "error":
                        pass
                except websockets.ConnectionClosedError:
                    pass
            return int(socket.close_code)

        assert asyncio.run(close_code("/v1/stream")) == 4401
        assert asyncio.run(close_code(f"/v1/stream?token={TOKEN}")) == 1000
        elsewhere = {"origin": "http://elsewhere.example"}
        page = asyncio.run(close_code(f"/v1/stream?token={TOKEN}", additional_headers=elsewhere))
        assert page == 4403
    finally:
        process.terminate()
        process.wait(timeout=20)
