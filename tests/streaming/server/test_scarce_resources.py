"""A server of several processes goes on when files and descriptors are taken away from it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.streaming.server.processes import Processes, processes, until
from tests.streaming.server.test_server import final_words, httpx, recite

MANY = 300  # connections
FEW_FILES = 120


def test_the_folder_of_the_metrics_may_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """Programs that clean temporary folders do so; it is locked, which some of them respect."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with processes() as server:
        (folder,) = tmp_path.glob("rill-metrics-*")
        locked = subprocess.run(["flock", "--nonblock", "--exclusive", folder, "true"])
        assert locked.returncode == 1
        shutil.rmtree(folder)
        assert server.metric("rill_processes") == 2
        before = server.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(server.workers()) == 2 and not before & server.workers())
        assert final_words(asyncio.run(recite(server.address, pcm, 9))) == expected
        assert server.metric("rill_heard_seconds_total") == pytest.approx(4.0)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "new processes serve" in server.line())
        assert final_words(asyncio.run(recite(server.address, pcm, 9))) == expected


@contextmanager
def with_few_files() -> Iterator[Processes]:
    command = [sys.executable, "-m", "asr.cli.main", "serve", "--port", "0", "--processes", "2"]
    process = subprocess.Popen(
        ["bash", "-c", f'ulimit -n {FEW_FILES}; exec "$@"', "rill", *command],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    server = Processes(process, process.stderr.readline().split("//")[1].strip().rstrip("/"))
    try:
        yield server
        process.terminate()
        _, messages = process.communicate(timeout=30)
        assert process.returncode == 0 and "Traceback" not in messages, messages
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def connections(server: Processes) -> list[socket.socket]:
    port = int(server.address.rsplit(":", 1)[1])
    return [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(MANY)]


@pytest.mark.parametrize("what", ["nothing", "a worker", "the template", "a restart"])
def test_more_connections_than_descriptors(
    what: str, pcm: bytes, expected: list[dict[str, Any]]
) -> None:
    """What happens meanwhile is made good afterwards."""
    with with_few_files() as server:
        before = server.workers()
        crowd = connections(server)
        match what:
            case "a worker":
                os.kill(min(before), signal.SIGKILL)
            case "the template":
                os.kill(server.template(), signal.SIGKILL)
            case "a restart":
                server.process.send_signal(signal.SIGHUP)
                until(lambda: "failed" in server.line())
        if what == "a worker":
            until(lambda: "no process can be started" in server.line())
        for one in crowd:
            one.close()
        until(lambda: server.health()["processes"] == 2)
        assert final_words(asyncio.run(recite(server.address, pcm, 9))) == expected
        if what == "a worker":
            assert len(before & server.workers()) == 1
        if what == "the template":
            until(lambda: not before & server.workers())
        if what == "a restart":
            server.process.send_signal(signal.SIGHUP)
            until(lambda: "new processes serve" in server.line())


def test_a_worker_without_descriptors_says_so() -> None:
    """The front has more than its workers: their limit is set after their start."""
    with processes() as server:
        for pid in server.workers():
            subprocess.run(["prlimit", "--pid", str(pid), "--nofile=40"], check=True)
        crowd = connections(server)
        answers = []
        for one in crowd:
            one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answers.append(one.recv(20).decode().partition(" ")[2][:3])
        assert set(answers) == {"200", "503"}
        for one in crowd:
            one.close()
        assert httpx.get(f"http://{server.address}/health").status_code == 200
