"""A server of several processes, and which processes those are."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.streaming.server.test_server import httpx, start_server

WAIT_SECONDS = 60.0


class Processes:
    """A running front with its workers."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    def template(self) -> int:
        """The only template's id."""
        (pid,) = children(self.process.pid)
        return pid

    def workers(self) -> set[int]:
        """Ids of all workers, those of an ending generation too."""
        return {pid for template in children(self.process.pid) for pid in children(template)}

    def health(self) -> dict[str, Any]:
        """What /health says."""
        answer: dict[str, Any] = httpx.get(f"http://{self.address}/health", timeout=30).json()
        return answer

    def metric(self, name: str) -> float:
        """A figure of /metrics."""
        lines = httpx.get(f"http://{self.address}/metrics", timeout=30).text.splitlines()
        (line,) = [line for line in lines if line.split(" ")[0] == name]
        return float(line.split(" ")[1])

    def line(self) -> str:
        """The next line of standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()


@contextmanager
def processes(*options: str) -> Iterator[Processes]:
    """A server with two workers for a while; it ends well, and none of its processes stays."""
    process, address = start_server("--processes", "2", *options)
    server = Processes(process, address)
    try:
        yield server
        mine = {*children(process.pid), *server.workers()}
        process.terminate()
        assert process.wait(timeout=30) == 0
        until(lambda: not any(is_running(pid) for pid in mine))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def children(pid: int) -> set[int]:
    """Ids of a process's own processes."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {int(child) for child in found if is_running(int(child))}


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(holds: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Wait until it holds; returns what it returned."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
    return found


def shared_kilobytes(pid: int) -> dict[str, int]:
    """Memory of a process: Rss, Pss, Private_Dirty and so on."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
