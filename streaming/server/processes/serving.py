"""The settings of a server, and how its processes run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streaming.server.connections.access import Access
from streaming.server.connections.tls import Tls
from streaming.server.limits import Limits

if TYPE_CHECKING:
    from asr.recognizer import Recognizer

DRAIN_SECONDS = 300.0  # that streams of old processes may continue after SIGHUP


@dataclass(frozen=True)
class Serving:
    """What a worker serves, and how; it is pickled for the template."""

    load: Callable[[], Recognizer]
    limits: Limits
    access: Access
    threads: int  # of recognition, in each process
    trusted_proxies: tuple[str, ...] = ()
    root_path: str = ""
    tls: Tls | None = None
    written: bool = True  # as of `Service`


@dataclass(frozen=True)
class Running:
    """How the processes run."""

    processes: int  # workers
    drain_seconds: float  # that streams of old processes may continue after a restart
    metrics_folder: str
    report: Callable[[str], None]  # is given a line when a process is replaced
