"""A server in a process of its own, with small limits, for tests of what clients may do to it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PROGRAM = """
import asyncio, sys
from asr.recognizer import Recognizer
from starlette.responses import JSONResponse
from starlette.routing import Route
from streaming.server.connections.access import Access
from streaming.server.app import create_app
from streaming.server.running import run
from streaming.server.limits import Limits

async def tasks(request):
    return JSONResponse(len(asyncio.all_tasks()))

{before}
app = create_app(Recognizer.load(threads=1), Limits(**{limits}), access=Access.of(**{access}))
app.router.routes.insert(0, Route("/tasks", tasks))
wyoming = ("127.0.0.1", 0) if {wyoming} else None
run(app, {host!r}, 0, lambda at: print(at, flush=True), wyoming, {proxies}, {root_path!r})
"""


class Server:
    """What runs, where it listens, and what it holds."""

    def __init__(
        self,
        limits: dict[str, Any] | None = None,
        access: dict[str, Any] | None = None,
        host: str = "127.0.0.1",
        proxies: tuple[str, ...] = (),
        root_path: str = "",
        wyoming: bool = False,
        before: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        access = {"token": None} | (access or {})
        program = PROGRAM.format(
            before=before,
            limits=limits or {},
            access=access,
            wyoming=wyoming,
            host=host,
            proxies=proxies,
            root_path=root_path,
        )
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115, for as long as the server runs
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | (environment or {}),
        )
        assert self.process.stdout is not None
        self.port = int(self._line().rstrip("/").rsplit(":", 1)[1])
        self.address = f"127.0.0.1:{self.port}"
        self.wyoming_port = int(self._line().rsplit(":", 1)[1]) if wyoming else 0

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, self.log()
        return line

    def log(self) -> str:
        """What it wrote to standard error."""
        self._log.seek(0)
        return self._log.read()

    def streams(self) -> int:
        """Running streams."""
        return int(httpx.get(f"http://{self.address}/health", timeout=30).json()["streams"])

    def held(self) -> dict[str, int]:
        """Tasks, threads, file descriptors and bytes resident."""
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return {
            "tasks": httpx.get(f"http://{self.address}/tasks", timeout=30).json(),
            "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(proc / "fd")),
            "resident": int(status["VmRSS"].split()[0]) * 1024,
        }


@contextmanager
def served(**settings: Any) -> Iterator[Server]:
    """A server for a while; it has to end well, and its log has to be empty unless a test looks at
    it (`settings`: as of `Server`)."""
    server = Server(**settings)
    try:
        yield server
        if server.process.poll() is None:
            server.process.terminate()
            assert server.process.wait(timeout=30) == 0
        log = server.log().replace("WARNING:  Invalid HTTP request received.\n", "")
        assert "before" in settings or log == "", log
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
