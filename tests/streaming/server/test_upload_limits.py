"""Limits of uploads: slow and endless bodies, long audio, clients that disconnect, a full disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.streaming.server.served import Server, httpx, served
from tests.streaming.server.uploads import (
    END,
    PART,
    PATH,
    SMALL_LIMITS,
    connection,
    head,
    hour_of_silence,
    is_free,
    streams,
    wav,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(limits=SMALL_LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def hour() -> bytes:
    return hour_of_silence()


@pytest.mark.parametrize("drip_seconds", [0.0, 0.2], ids=["stalls", "drips"])
def test_a_body_that_does_not_arrive_frees_its_slot(server: Server, drip_seconds: float) -> None:
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
        assert await is_free(server, 1)
        dripping.cancel()
        writer.close()
        return answer

    answer = asyncio.run(wait())
    assert answer.startswith(b"HTTP/1.1 408 ") and b"too_slow" in answer


def test_a_slow_body_above_the_minimum_rate_is_transcribed(server: Server, pcm: bytes) -> None:
    """It takes longer than a stalled body may, at more than the minimum rate."""
    body = PART + wav(pcm, 40_000) + END

    async def send() -> bytes:
        reader, writer = await connection(server)
        writer.write(head(server, len(body)))
        for start in range(0, len(body), len(body) // 25):
            writer.write(body[start : start + len(body) // 25])
            await asyncio.sleep(0.2)
        return await asyncio.wait_for(reader.read(), 20)

    answer = asyncio.run(send())
    assert answer.startswith(b"HTTP/1.1 200 ") and b"magnificent" in answer.lower()


def test_an_upload_ends_when_its_client_disconnects(hour: bytes) -> None:
    body = PART + hour + END

    async def leave(server: Server) -> None:
        _, writer = await connection(server)
        writer.write(head(server, len(body)) + body)
        await writer.drain()
        await asyncio.sleep(1)
        assert await streams(server) == 1
        writer.transport.abort()
        assert await is_free(server, 3)
        before = work_seconds(server)
        await asyncio.sleep(2)
        assert work_seconds(server) == before

    with served() as server:
        asyncio.run(leave(server))


def work_seconds(server: Server) -> float:
    lines = httpx.get(f"http://{server.address}/metrics").text.splitlines()
    return float(next(x for x in lines if x.startswith("rill_work_seconds_total")).split()[1])


@pytest.mark.parametrize("stream", ["false", "true"])
def test_an_upload_that_is_too_long_is_reported(server: Server, hour: bytes, stream: str) -> None:
    url = f"http://{server.address}{PATH}"
    started = time.monotonic()
    answer = httpx.post(url, files={"file": hour}, data={"stream": stream}, timeout=60)
    assert "too_long" in answer.text and "60 s" in answer.text
    assert answer.status_code == (413 if stream == "false" else 200)
    assert time.monotonic() - started < 30


def test_an_upload_without_a_temporary_folder_is_reported(tmp_path: Any) -> None:
    """Uploads of more than 1 MiB are kept on disk."""
    before = "import tempfile; tempfile.tempdir = '/nowhere'"
    with served(before=before) as server:
        answer = httpx.post(f"http://{server.address}{PATH}", files={"file": bytes(2**22)})
        assert answer.status_code == 507 and answer.json()["error"]["code"] == "no_space"
        assert server.streams() == 0 and server.log() == ""
