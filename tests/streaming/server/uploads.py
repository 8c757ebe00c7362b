"""Raw upload requests, for tests of what a client may do with their bytes."""

from __future__ import annotations

import asyncio
import io
import time

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE
from tests.streaming.server.served import Server

PATH = "/v1/audio/transcriptions"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
END = b"\r\n--x--\r\n"
SMALL_LIMITS = {
    "streams": 8, "streams_per_client": 8, "head_seconds": 1.0, "idle_seconds": 2.0,
    "slow_reader_seconds": 1.0, "body_seconds": 3.0, "body_bytes_per_second": 1000.0,
    "upload_seconds": 60.0,
}  # fmt: skip


def hour_of_silence() -> bytes:
    """FLAC of 180 kB."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3600 * SAMPLE_RATE, np.int16), SAMPLE_RATE, format="FLAC")
    assert len(file.getvalue()) < 200_000
    return file.getvalue()


def wav(pcm: bytes, samples: int | None = None) -> bytes:
    file = io.BytesIO()
    sound = np.frombuffer(pcm, "<i2")[:samples]
    soundfile.write(file, sound, SAMPLE_RATE, format="WAV")
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


async def is_free(server: Server, seconds: float) -> bool:
    """Whether no stream runs any more within the time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if await streams(server) == 0:
            return True
        await asyncio.sleep(0.1)
    return False
