"""Several processes behind one port are one server to its clients."""

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
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE
from asr.cli.main import app
from asr.errors import ConfigError
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from streaming.microphone.captions import event_record
from streaming.stream import Stream
from tests.conftest import DEMO
from tests.streaming.server.processes import (
    Processes,
    children,
    is_running,
    processes,
    shared_kilobytes,
    until,
)
from tests.streaming.server.socket_clients import PIECE, check_ends, finished, rest, started
from tests.streaming.server.test_openai_requests import SEVENTEEN
from tests.streaming.server.test_server import (
    connected,
    final_words,
    httpx,
    recite,
    start_server,
    websockets,
)

WRITTEN = {"format_text": "written"}
STREAMS = ("--streams", "6", "--streams-per-client", "5")


@pytest.fixture(scope="module")
def server() -> Iterator[Processes]:
    """Tests leave it as they found it."""
    with processes(*STREAMS) as server:
        yield server


def streams_of(server: Processes) -> int:
    return int(server.health()["streams"])


def test_streams_of_all_processes_have_the_words_of_the_recogniser(
    server: Processes, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    async def together() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(recite(server.address, pcm, n) for n in (3, 50, 11, 20)))

    assert [final_words(messages) for messages in asyncio.run(together())] == [expected] * 4
    assert server.health()["processes"] == 2 and len(server.workers()) == 2


def test_an_upload_has_the_words_of_the_recogniser(
    server: Processes, recognizer: Recognizer
) -> None:
    url = f"http://{server.address}/v1/audio/transcriptions"
    with DEMO.open("rb") as file:
        answer = httpx.post(url, files={"file": file}, timeout=60)
    assert answer.json()["text"] == recognizer.transcribe(DEMO).formatted


def test_processes_share_the_model_and_have_no_threads_when_they_fork(server: Processes) -> None:
    (recognise, other) = server.workers()
    template = server.template()
    assert len(os.listdir(f"/proc/{template}/task")) == 1
    for pid in (recognise, other):
        memory = shared_kilobytes(pid)
        assert memory["Private_Dirty"] < 0.5 * memory["Rss"], memory
        assert memory["Pss"] < 0.6 * memory["Rss"], memory


def test_all_processes_write_text_in_the_form_of_the_command() -> None:
    with processes("--format-text", "spoken") as server:
        url = f"http://{server.address}/v1/audio/transcriptions"
        form = dict([SEVENTEEN])
        for wanted, present, absent in [({}, "seventeen", "17"), (WRITTEN, "17", "seventeen")]:
            files = {"file": DEMO.read_bytes()}
            text = httpx.post(url, files=files, data=form | wanted, timeout=60).json()["text"]
            assert present in text.split() and absent not in text.split()


def test_limits_are_those_of_the_whole_server(server: Processes) -> None:
    async def crowd() -> list[int]:
        async with AsyncExitStack() as stack:
            for _ in range(5):
                await started(stack, server)
            assert await asyncio.to_thread(streams_of, server) == 5
            async with connected(server.address) as one_more:
                refused = await rest(one_more)
                assert refused[-1]["code"] == "busy" and "5 streams" in refused[-1]["message"]
                return [int(one_more.close_code)]

    assert asyncio.run(crowd()) == [4429]
    until(lambda: streams_of(server) == 0)


def test_metrics_are_sums_over_all_processes(server: Processes, pcm: bytes) -> None:
    def heard() -> float:
        return server.metric("rill_heard_seconds_total")

    async def one_after_another() -> None:
        async with AsyncExitStack() as stack:
            sockets = [await started(stack, server) for _ in range(4)]
            assert await asyncio.to_thread(server.metric, "rill_streams") == 4.0
            for socket in sockets:
                assert (await finished(socket, pcm))[-1]["type"] == "done"

    before = heard()
    asyncio.run(one_after_another())
    assert all(heard() == pytest.approx(before + 4 * 4.0) for _ in range(6))
    assert server.metric("rill_processes") == 2.0


def test_a_killed_process_loses_the_words_of_its_own_clients_from_then_on_and_no_others(
    server: Processes, recognizer: Recognizer, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """Streams are spread: two of four are lost. These two have all that a stream alone says about
    the audio before the kill, and then an error."""
    middle = len(pcm) // 2 // PIECE * PIECE
    alone = Stream(recognizer)
    before = [event_record(event) for event in alone.push(np.frombuffer(pcm[:middle], "<i2"))]
    assert any(event["text"] for event in before)

    async def killed_under_load() -> list[tuple[list[dict[str, Any]], int]]:
        async with AsyncExitStack() as stack:
            sockets = [await started(stack, server) for _ in range(4)]
            firsts: list[list[dict[str, Any]]] = [[] for _ in sockets]
            for socket, first in zip(sockets, firsts):
                for start in range(0, middle, PIECE):
                    await socket.send(pcm[start : start + PIECE])
                while len(first) < len(before):  # it has all words of the first half
                    first.append(json.loads(await socket.recv()))
            os.kill(min(server.workers()), signal.SIGKILL)

            async def end(socket: Any) -> list[dict[str, Any]]:
                try:
                    return await finished(socket, pcm[middle:])
                except websockets.ConnectionClosed:
                    return await rest(socket)

            rests = await asyncio.gather(*map(end, sockets))
            return [(a + b, int(s.close_code)) for s, a, b in zip(sockets, firsts, rests)]

    replaced = server.metric("rill_processes_replaced_total")
    ends = asyncio.run(killed_under_load())
    check_ends(ends, expected, before)
    until(lambda: server.health()["processes"] == 2 and len(server.workers()) == 2)
    assert "signal 9" in server.line()
    assert server.metric("rill_processes_replaced_total") == replaced + 1
    assert streams_of(server) == 0, "the slots of the killed process are free"
    assert final_words(asyncio.run(recite(server.address, pcm, 20))) == expected


def both_killed(server: Processes) -> None:
    """All clients are of a killed process; new ones replace them after a while."""
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)


def test_clients_of_each_protocol_learn_that_their_process_was_killed(pcm: bytes) -> None:
    hour = io.BytesIO()
    soundfile.write(hour, np.tile(np.frombuffer(pcm, "<i2"), 200), SAMPLE_RATE, format="FLAC")

    async def answers(server: Processes, wyoming_port: int) -> None:
        url = f"http://{server.address}/v1/audio/transcriptions"
        async with AsyncExitStack() as stack:
            vosk = await started(stack, server, "/")
            await vosk.send(pcm[:PIECE])
            await vosk.recv()
            realtime = await started(stack, server, "/v1/realtime")
            reader, writer = await asyncio.open_connection("127.0.0.1", wyoming_port)
            writer.write(b'{"type": "ping", "data": {"text": "x"}}\n')
            await reader.readline()
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
            upload = asyncio.ensure_future(client.post(url, files={"file": hour.getvalue()}))
            streamed = client.stream(
                "POST", url, files={"file": hour.getvalue()}, data={"stream": "true"}
            )
            events = await stack.enter_async_context(streamed)
            lines = events.aiter_lines()
            assert "delta" in await anext(lines)
            both_killed(server)
            error = json.loads(await vosk.recv())
            assert error["error"] == "internal" and "ended unexpectedly" in error["message"]
            await vosk.wait_closed()
            assert vosk.close_code == 1011
            error = (await rest(realtime))[-1]
            assert error["type"] == "error" and error["error"]["type"] == "server_error"
            assert "ended unexpectedly" in error["error"]["message"]
            assert realtime.close_code == 1011
            answer = await upload
            assert answer.status_code == 503 and answer.json()["error"]["code"] == "internal"
            last = [line async for line in lines if line][-1]
            told = json.loads(last.removeprefix("data: "))["error"]
            assert told["code"] == "internal" and told["type"] == "server_error"
            ended = (await reader.read()).rpartition(b'{"type": "error"')[2]
            assert b"ended unexpectedly" in ended
            writer.close()

    with processes("--wyoming", "tcp://127.0.0.1:0") as server:
        port = int(server.line().rsplit(":", 1)[1])
        asyncio.run(answers(server, port))
        # A client that comes while no process runs waits for the next one.
        assert server.health()["status"] == "ok"


def test_a_connection_that_a_killed_process_had_not_read_is_given_to_another(
    server: Processes,
) -> None:
    for pid in (stopped := server.workers()):
        os.kill(pid, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", int(server.address.rsplit(":", 1)[1]))) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(0.5)
        for pid in stopped:
            os.kill(pid, signal.SIGKILL)
        one.settimeout(30)
        assert one.recv(100).startswith(b"HTTP/1.1 200")
    until(lambda: server.health()["processes"] == 2)


def test_the_process_that_holds_the_model_is_replaced_too(server: Processes, pcm: bytes) -> None:
    old = {server.template(), *server.workers()}
    os.kill(server.template(), signal.SIGKILL)
    until(lambda: not any(is_running(pid) for pid in old))
    until(lambda: server.health()["processes"] == 2)
    assert asyncio.run(recite(server.address, pcm, 5))[-1]["type"] == "done"


def test_no_process_outlives_a_front_that_was_killed() -> None:
    process, address = start_server("--processes", "2")
    mine = {*children(process.pid), *Processes(process, address).workers()}
    assert len(mine) == 3
    process.kill()
    process.communicate()
    until(lambda: not any(is_running(pid) for pid in mine))


def test_a_model_that_cannot_be_loaded_is_reported_in_one_line(tmp_path: Path) -> None:
    for part in BUNDLED_MODEL.iterdir():
        if part.name != "config.json":
            (tmp_path / part.name).symlink_to(part)
    options = ("--processes", "2", "--port", "0", "--model", str(tmp_path))
    command = [sys.executable, "-m", "asr.cli.main", "serve", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "config.json" in done.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--drain-seconds", "5"], "--processes"),
        (["--processes", "1", "--drain-seconds", "5"], "--processes"),
    ],
)
def test_an_option_without_effect_is_refused(options: list[str], reason: str) -> None:
    result = CliRunner().invoke(app, ["serve", *options])
    assert isinstance(result.exception, ConfigError) and reason in str(result.exception)


def test_zero_processes_are_one_for_each_core() -> None:
    process, address = start_server("--processes", "0")
    try:
        running = Processes(process, address).health()["processes"]
        assert running == len(os.sched_getaffinity(process.pid))
    finally:
        process.terminate()
        process.communicate(timeout=30)
