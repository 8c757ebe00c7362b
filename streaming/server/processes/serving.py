"""The settings of a server, as its processes get them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streaming.server.connections.access import Access
from streaming.server.connections.tls import Tls
from streaming.server.limits import Limits

if TYPE_CHECKING:
    from asr.recognizer import Recognizer


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
