"""What the front knows of its connections, workers and templates."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from streaming.server.processes.channel import Channel, Message
from streaming.server.processes.heartbeat import Pulse
from streaming.server.processes.last_answers import Doing
from streaming.server.processes.slots import SlotTable

YOUNG_SECONDS = 1.0  # of a connection that may become a stream at once
YOUNG_WORKER_SECONDS = 5.0  # a worker that ends sooner is not replaced at once


@dataclass(eq=False)
class Connection:
    """A client's connection; a worker has a duplicate of the socket."""

    number: int
    socket: socket.socket
    kind: str  # http or wyoming
    doing: Doing = "new"
    is_taken: bool = False  # the worker may have read from it
    since: float = field(default_factory=time.monotonic)

    @property
    def may_become_a_stream(self) -> bool:
        """Whether it counts like a stream, because it may be one before the table has it."""
        is_new = self.doing == "new" and time.monotonic() - self.since < YOUNG_SECONDS
        return is_new or not self.is_taken


@dataclass(eq=False, kw_only=True)
class Process:
    """A process that talks to the front."""

    pid: int | None = None
    channel: Channel | None = None
    pulse: Pulse = field(default_factory=Pulse)

    def connect(
        self,
        end: socket.socket,
        on_message: Callable[[Self, Message], None],
        on_end: Callable[[Self], None],
    ) -> None:
        """Talk over this end of a pair of sockets."""
        self.channel = Channel(
            end, lambda message, _: on_message(self, message), lambda: on_end(self)
        )

    def kill(self) -> None:
        """End it at once."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@dataclass(eq=False)
class Template(Process):
    """A template, and the workers of its generation."""

    process: subprocess.Popen[bytes]
    is_loaded: bool = False
    failure: str | None = None
    early_ends: int = 0  # of workers that ended at their start, one after another
    workers: list[Worker] = field(default_factory=list)

    def has_ready(self, count: int) -> bool:
        """Whether this many workers accept connections."""
        return sum(worker.accepts for worker in self.workers) >= count


@dataclass(eq=False)
class Worker(Process):
    """A worker, and the connections that it was handed."""

    row: int
    template: Template
    is_ready: bool = False
    is_leaving: bool = False  # it was told to end, or ends by itself
    connections: dict[int, Connection] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def accepts(self) -> bool:
        """Whether it may be handed a connection."""
        return self.is_ready and not self.is_leaving and not self.pulse.is_late

    @property
    def is_young(self) -> bool:
        """Whether it ended too soon for the next one to start at once."""
        return not self.is_ready or time.monotonic() - self.started < YOUNG_WORKER_SECONDS

    def load(self, table: SlotTable) -> tuple[int, int]:
        """Running streams and those that may start at once; then connections."""
        new = sum(connection.may_become_a_stream for connection in self.connections.values())
        return table.taken(self.row) + new, len(self.connections)
