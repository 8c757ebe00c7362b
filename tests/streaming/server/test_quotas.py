"""`rill serve` within the limits of a control group, as a container or a systemd unit sets them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.control_groups import limited
from tests.streaming.server.processes import Processes, cpu_seconds, until
from tests.streaming.server.test_server import final_words, recite

CORES = len(os.sched_getaffinity(0))


@contextmanager
def served_within(begin: str, *options: str) -> Iterator[Processes]:
    """A server that this beginning of a script limits; it ends well."""
    command = [sys.executable, "-m", "asr.cli.main", "serve", "--port", "0", *options]
    script = f'export OMP_NUM_THREADS=; {begin} exec "$@"'
    process = subprocess.Popen(["sh", "-c", script, "sh", *command], stderr=-1, text=True)
    try:
        server = Processes(process, "")
        line = server.line()
        assert "listening at http://" in line, line
        server.address = line.split("//")[1].strip().rstrip("/")
        yield server
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize(("cores", "processes"), [(0.5, 1), (1.0, 1), (1.5, 2)])
def test_zero_processes_are_one_for_each_core_of_the_quota(cores: float, processes: int) -> None:
    with limited(cores) as begin, served_within(begin, "--processes", "0") as server:
        until(lambda: server.health()["processes"] == min(processes, CORES))


def test_one_process_has_a_thread_for_each_core_of_the_quota(
    pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """Streams at the same time start as many recognition threads as there may be."""

    def threads(*options: str) -> int:
        with limited(1.0) as begin, served_within(begin, *options) as server:
            for messages in asyncio.run(together(server)):
                assert final_words(messages) == expected
            return len(os.listdir(f"/proc/{server.process.pid}/task"))

    async def together(server: Processes) -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(recite(server.address, pcm, 10) for _ in range(6)))

    assert threads() == threads("--workers", "1") == threads("--workers", "3") - 2


def test_a_server_keeps_to_its_quota_and_its_memory(
    pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """All streams get all words within half a core and 500 MB, at the speed of half a core."""

    async def crowd(server: Processes) -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(recite(server.address, pcm, 10) for _ in range(8)))

    options = ("--processes", "2", "--streams-per-client", "8")
    with limited(0.5, megabytes=500) as begin, served_within(begin, *options) as server:
        start, before = time.monotonic(), sum(map(cpu_seconds, server.workers()))
        for messages in asyncio.run(crowd(server)):
            assert final_words(messages) == expected and messages[-1]["type"] == "done"
        took, used = time.monotonic() - start, sum(map(cpu_seconds, server.workers())) - before
        assert used <= 0.5 * took + 0.3
        assert server.metric("rill_processes_replaced_total") == 0


def test_a_process_that_is_killed_for_want_of_memory_is_replaced(
    pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """A hungry program in the group of the server: the kernel takes a process of the server, and
    then that program. The server goes on."""
    eat = "import ctypes; ctypes.memset(ctypes.create_string_buffer(2**29), 1, 2**29)"
    with limited(megabytes=400) as begin, served_within(begin, "--processes", "2") as server:
        victim = min(server.workers())
        Path(f"/proc/{victim}/oom_score_adj").write_text("1000")  # the first that it takes
        script = f"{begin} exec {sys.executable} -c '{eat}'"
        done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=60)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert "signal 9" in server.line()
        until(lambda: victim not in server.workers() and server.health()["processes"] == 2)
        assert server.metric("rill_processes_replaced_total") == 1
        assert final_words(asyncio.run(recite(server.address, pcm, 10))) == expected
