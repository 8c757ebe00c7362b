"""The front: one port, and the processes behind it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from asr.errors import ConfigError
from streaming.server.connections.addresses import listening_sockets, shown, wyoming_option
from streaming.server.processes.generations import Generations
from streaming.server.processes.handover import HandOver
from streaming.server.processes.heartbeat import HANG_SECONDS, Heartbeat
from streaming.server.processes.serving import DRAIN_SECONDS, Running, Serving
from streaming.server.processes.slots import SlotTable
from streaming.server.processes.workers import Worker


def serve(
    serving: Serving,
    processes: int,
    host: str,
    port: int,
    ready: Callable[[str], None],
    report: Callable[[str], None],
    wyoming: tuple[str, int] | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    hang_seconds: float = HANG_SECONDS,
) -> None:
    """Serve with several processes until Ctrl-C or SIGTERM. SIGHUP starts new ones with a freshly
    loaded model; the old ones end with their streams.

    Args:
        ready: called with each address once all processes run.
        report: called with a line when a process is replaced.
        drain_seconds: that streams of old processes may continue after SIGHUP.
        hang_seconds: after which a process that does not respond is killed and replaced.

    Raises:
        ConfigError: an address cannot be bound, the model cannot be loaded, or no folder for the
            metrics can be made.
    """
    idle_seconds = serving.limits.idle_seconds
    sockets = listening_sockets(host, port, f"--host {host} --port {port}", idle_seconds)
    listening = [(one, "http") for one in sockets]
    if wyoming:
        more = listening_sockets(*wyoming, wyoming_option(*wyoming), idle_seconds)
        listening += [(one, "wyoming") for one in more]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one for each connection
    try:
        folder = tempfile.TemporaryDirectory(prefix="rill-metrics-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ConfigError(
            f"{tempfile.gettempdir()}: no folder for the metrics can be made there "
            f"({error.strerror}); set TMPDIR to a folder that can be written"
        ) from None
    with folder as metrics_folder, _locked(metrics_folder):
        running = Running(processes, drain_seconds, metrics_folder, report)
        front = Front(serving, running, listening, hang_seconds)
        try:
            asyncio.run(front.run(ready))
        finally:
            front.kill_all()


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Programs that clean temporary folders leave out those that are locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


class Front:
    """All processes, and the connections that they have."""

    def __init__(
        self,
        serving: Serving,
        running: Running,
        listening: Sequence[tuple[socket.socket, str]],
        hang_seconds: float,
    ) -> None:
        self._listening = listening
        self._scheme = "https" if serving.tls else "http"
        # Rows for the current workers, for those that start, and for those that end.
        table = SlotTable.of(serving.limits, 4 * running.processes + 8)
        workers: list[Worker] = []
        self._handover = HandOver(listening, workers, table, serving.tls is not None)
        self._generations = Generations(serving, running, table, workers, self._handover)
        self._heartbeat = Heartbeat(
            hang_seconds,
            self._generations.asked,
            self._generations.note_figures,
            self._generations.on_hang,
        )
        self._ending = asyncio.Event()

    async def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal; `ready` is called with each address."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end_signal)
        loop.add_signal_handler(signal.SIGHUP, self._generations.restart)
        asking = asyncio.ensure_future(self._heartbeat.run())
        if await self._generations.start():
            self._handover.start()
            self._announce(ready)
        await self._ending.wait()
        self._handover.end()
        await self._generations.end()
        asking.cancel()

    def kill_all(self) -> None:
        """Leave no process."""
        self._generations.kill_all()

    def _announce(self, ready: Callable[[str], None]) -> None:
        announced = set()
        for listening, kind in self._listening:
            if kind not in announced:
                announced.add(kind)
                url = f"{self._scheme}://{shown(listening)}/" if kind == "http" else None
                ready(url or f"tcp://{shown(listening)}")

    def _on_end_signal(self) -> None:
        if self._ending.is_set():  # the second one: at once
            self.kill_all()
        self._ending.set()
        self._generations.start_to_end()
