"""A process that does not respond is killed and replaced; busy and suspended ones are not."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE
from asr.cli.main import app
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from streaming.microphone.captions import event_record
from streaming.stream import Stream
from tests.streaming.server.processes import Processes, children, is_running, processes, until
from tests.streaming.server.socket_clients import PIECE, check_ends, finished, rest, started
from tests.streaming.server.test_server import (
    START,
    connected,
    final_words,
    httpx,
    recite,
    websockets,
)

HANG_SECONDS = 2.0
HANGS = ("--hang-seconds", f"{HANG_SECONDS:g}")


def hung(server: Processes) -> float:
    return server.metric("rill_processes_hung_total")


def test_a_stopped_process_is_replaced_and_its_clients_are_told(
    recognizer: Recognizer, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """Two of four live streams hang: they have all that a stream alone says about the audio until
    then, and an error. The others go on. Nobody connects to the process that is late."""
    middle = len(pcm) // 2 // PIECE * PIECE
    alone = Stream(recognizer)
    before = [event_record(event) for event in alone.push(np.frombuffer(pcm[:middle], "<i2"))]

    async def stopped_under_load(server: Processes) -> list[tuple[list[dict[str, Any]], int]]:
        async with AsyncExitStack() as stack:
            sockets = [await started(stack, server) for _ in range(4)]
            firsts: list[list[dict[str, Any]]] = [[] for _ in sockets]
            for socket, first in zip(sockets, firsts):
                for start in range(0, middle, PIECE):
                    await socket.send(pcm[start : start + PIECE])
                while len(first) < len(before):
                    first.append(json.loads(await socket.recv()))
            os.kill(min(server.workers()), signal.SIGSTOP)
            at = time.monotonic()
            late = await asyncio.to_thread(until, lambda: late_health(server))
            assert late["processes"] == 1 and late["streams"] == 4
            new = await asyncio.gather(*(recite(server.address, pcm, n) for n in (10, 20, 30)))
            assert all(final_words(messages) == expected for messages in new)

            async def end(socket: Any) -> list[dict[str, Any]]:
                try:
                    return await finished(socket, pcm[middle:])
                except websockets.ConnectionClosed:
                    return await rest(socket)

            rests = await asyncio.gather(*map(end, sockets))
            assert time.monotonic() - at < 4 * HANG_SECONDS
            return [(a + b, int(s.close_code)) for s, a, b in zip(sockets, firsts, rests)]

    with processes(*HANGS) as server:
        ends = asyncio.run(stopped_under_load(server))
        check_ends(ends, expected, before)
        until(lambda: server.health()["processes"] == 2 and len(server.workers()) == 2)
        assert server.health()["not_responding"] == server.health()["streams"] == 0
        assert hung(server) == server.metric("rill_processes_replaced_total") == 1
        assert "has not responded for 2 s and is killed" in server.line()
        assert final_words(asyncio.run(recite(server.address, pcm, 20))) == expected


def test_clients_that_come_while_all_processes_are_stopped_wait_for_the_next_ones(
    pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """And so they do while the process that starts the others is stopped."""
    with processes(*HANGS) as server:
        for pid in server.workers():
            os.kill(pid, signal.SIGSTOP)
        assert final_words(asyncio.run(recite(server.address, pcm, 20))) == expected
        until(lambda: hung(server) == 2)
        os.kill(server.template(), signal.SIGSTOP)
        for pid in (old := server.workers()):
            os.kill(pid, signal.SIGKILL)  # which the stopped template does not replace
        assert final_words(asyncio.run(recite(server.address, pcm, 20))) == expected
        assert not old & server.workers()
        assert hung(server) == 3


def late_health(server: Processes) -> dict[str, Any] | None:
    """The health while one is late; a request that the stopped process has got waits."""
    try:
        answer = httpx.get(f"http://{server.address}/health", timeout=0.2)
    except httpx.TimeoutException:
        return None
    return answer.json() if answer.json()["not_responding"] == 1 else None


def test_a_process_that_goes_on_in_time_keeps_its_streams(
    pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """And so does a whole server that was suspended for longer than that."""
    middle = len(pcm) // 2 // PIECE * PIECE

    async def interrupted(server: Processes) -> list[dict[str, Any]]:
        workers = sorted(server.workers())
        everything = [server.process.pid, *children(server.process.pid), *workers]
        async with AsyncExitStack() as stack:
            stream = await started(stack, server)
            await stream.send(pcm[:middle])
            for stopped, seconds in [
                (workers, 0.7 * HANG_SECONDS),
                (everything, 1.5 * HANG_SECONDS),
            ]:
                for pid in stopped:
                    os.kill(pid, signal.SIGSTOP)
                await asyncio.sleep(seconds)
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
                await asyncio.to_thread(until, lambda: not server.health()["not_responding"])
            return await finished(stream, pcm[middle:])

    with processes(*HANGS) as server:
        before = server.workers()
        messages = asyncio.run(interrupted(server))
        assert final_words(messages) == expected and messages[-1]["type"] == "done"
        assert server.workers() == before and hung(server) == 0


def test_work_in_threads_is_no_hang(pcm: bytes) -> None:
    """Long uploads, sets of a thousand custom words, and more streams than the cores carry."""
    minutes = io.BytesIO()
    soundfile.write(minutes, np.tile(np.frombuffer(pcm, "<i2"), 20), SAMPLE_RATE, format="FLAC")

    async def busy(server: Processes) -> None:
        url = f"http://{server.address}/v1/audio/transcriptions"

        async def upload() -> None:
            async with httpx.AsyncClient(timeout=120) as client:
                answer = await client.post(url, files={"file": minutes.getvalue()})
                assert answer.status_code == 200

        async def words(number: int) -> None:
            start = START | {"words": [f"word{chr(97 + number)}{index}" for index in range(1000)]}
            spelled = [
                one.translate(str.maketrans("0123456789", "abcdefghij")) for one in start["words"]
            ]
            async with connected(server.address) as stream:
                await stream.send(json.dumps(start | {"words": spelled}))
                assert json.loads(await stream.recv())["type"] == "ready"

        streams = (recite(server.address, pcm, 20) for _ in range(6))
        await asyncio.gather(upload(), upload(), *map(words, range(4)), *streams)

    with processes("--hang-seconds", "4", "--streams-per-client", "20") as server:
        before = server.workers()
        asyncio.run(busy(server))
        assert server.workers() == before and hung(server) == 0


def test_a_stopped_process_does_not_delay_the_end_of_the_server() -> None:
    with processes(*HANGS) as server:
        mine = {*children(server.process.pid), *server.workers()}
        os.kill(min(server.workers()), signal.SIGSTOP)
        server.process.terminate()
        assert server.process.wait(timeout=3 * HANG_SECONDS) == 0
        until(lambda: not any(is_running(pid) for pid in mine))


@pytest.mark.parametrize("options", [[], ["--processes", "1"]])
def test_one_process_has_no_supervision(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["serve", "--hang-seconds", "5", *options])
    assert isinstance(result.exception, ConfigError) and "--processes" in str(result.exception)
