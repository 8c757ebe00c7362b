"""Processes that are restarted, or told to end, finish their streams."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.streaming.server.processes import Processes, children, processes, until
from tests.streaming.server.socket_clients import PIECE, finished, rest, started
from tests.streaming.server.test_server import final_words, recite


@pytest.fixture(scope="module")
def server() -> Iterator[Processes]:
    """Tests leave it as they found it."""
    with processes() as server:
        yield server


def test_sighup_restarts_while_streams_go_on(
    server: Processes, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    middle = len(pcm) // 2 // PIECE * PIECE

    async def across_a_restart() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        async with AsyncExitStack() as stack:
            old = await started(stack, server)
            await old.send(pcm[:middle])
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(until, lambda: len(before & server.workers()) == 1)
            assert server.health()["processes"] == 2
            new = await recite(server.address, pcm, 20)
            messages = await finished(old, pcm[middle:])
            await asyncio.to_thread(until, lambda: not before & server.workers())
            await asyncio.to_thread(until, lambda: len(children(server.process.pid)) == 1)
            assert len(server.workers()) == 2
            return messages, new

    for messages in asyncio.run(across_a_restart()):
        assert final_words(messages) == expected and messages[-1]["type"] == "done"
    assert server.metric("rill_heard_seconds_total") > 0, "counters stay across a restart"


def test_after_the_drain_limit_old_streams_get_their_last_words(
    tmp_path: Path, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """And a restart that cannot load its words leaves the old processes at work."""
    words = tmp_path / "words.txt"
    words.write_text("rillington\n")

    async def cut_short(server: Processes) -> list[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            stream = await started(stack, server)
            await stream.send(pcm)
            server.process.send_signal(signal.SIGHUP)
            return await rest(stream)

    with processes("--drain-seconds", "0.5", "--words", str(words)) as server:
        before = server.workers()
        words.write_text("c3po\n")
        server.process.send_signal(signal.SIGHUP)
        assert "restart" in server.line()
        failed = server.line()
        assert "failed" in failed and "c3po" in failed
        assert server.workers() == before
        words.write_text("rillington\n")
        messages = asyncio.run(cut_short(server))
        assert [w["word"] for w in final_words(messages)] == [w["word"] for w in expected]
        assert messages[-1]["type"] == "done"
        assert not before & until(lambda: server.workers() if len(server.workers()) == 2 else None)


def test_sigterm_ends_all_after_the_last_words(pcm: bytes, expected: list[dict[str, Any]]) -> None:
    async def cut_short(server: Processes) -> list[list[dict[str, Any]]]:
        async with AsyncExitStack() as stack:
            sockets = [await started(stack, server) for _ in range(2)]
            for one in sockets:
                await one.send(pcm)
                await one.recv()
            server.process.send_signal(signal.SIGTERM)
            return await asyncio.gather(*map(rest, sockets))

    with processes() as server:
        for messages in asyncio.run(cut_short(server)):
            assert final_words(messages) == expected and messages[-1]["type"] == "done"


def test_an_end_in_the_middle_of_a_restart_is_silent() -> None:
    with processes() as server:
        server.process.send_signal(signal.SIGHUP)
        assert "restart" in server.line()
        server.process.terminate()
        assert server.process.wait(timeout=30) == 0
        assert server.line() == ""


def test_one_process_that_gets_sigterm_ends_with_its_streams_and_is_replaced(
    server: Processes, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    async def cut_short() -> list[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            stream = await started(stack, server)
            await stream.send(pcm)
            first = json.loads(await stream.recv())
            for pid in server.workers():
                os.kill(pid, signal.SIGTERM)
            return [first, *await rest(stream)]

    before = server.workers()
    messages = asyncio.run(cut_short())
    assert final_words(messages) == expected and messages[-1]["type"] == "done"
    until(lambda: len(server.workers()) == 2 and not before & server.workers())
    until(lambda: server.health()["processes"] == 2)
