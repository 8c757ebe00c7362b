"""Limits for each client, so that no client can use up the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """All limits. A request beyond one is refused with a message, never cut off silently."""

    streams: int = 50  # at the same time
    streams_per_client: int = 10  # from one address
    message_bytes: int = 2**20
    upload_bytes: int = 100 * 2**20
    upload_seconds: float = 3 * 3600.0  # of audio in one upload
    body_seconds: float = 30.0  # for the body of an upload,
    body_bytes_per_second: float = 16 * 2**10  # plus a second for this many bytes
    head_seconds: float = 10.0  # for the head of a request
    idle_seconds: float = 60.0  # without a message
    longest_seconds: float = 3 * 3600.0  # of audio in one stream
    ahead_seconds: float = 60.0  # that the audio of a stream may be ahead of real time
    custom_words: int = 1000  # of one stream
    word_sets: int = 20  # different sets of custom words in use at the same time
    slow_reader_seconds: float = 10.0  # for a client to read a message


class Refused(Exception):
    """A request that the server refuses.

    `code` is for programs, `close_code` for WebSockets, `status` for HTTP; `field` is the name of
    the field of the request that is at fault, if it is one.
    """

    def __init__(
        self,
        code: str,
        message: str,
        close_code: int = 4400,
        status: int = 400,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.close_code, self.status = code, message, close_code, status
        self.field = field


class StreamSlots:
    """Counts the running streams."""

    processes = 1  # that accept connections
    not_responding = 0  # processes that are late to respond
    replaced = 0  # processes that ended unasked
    hung = 0  # processes that were killed because they did not respond

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of_client: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Running streams."""
        return self._of_client.total()

    @property
    def taken_here(self) -> int:
        """Those of this process."""
        return self._of_client.total()

    @contextmanager
    def acquire(self, client: str) -> Iterator[None]:
        """Hold a slot for one stream of this client.

        Raises:
            Refused: all slots are taken, or all of this client's.
        """
        self._take(client)
        try:
            yield
        finally:
            self._give_back(client)

    def _take(self, client: str) -> None:
        check_slots(self._limits, self.taken, self._of_client[client])
        self._of_client[client] += 1

    def _give_back(self, client: str) -> None:
        self._of_client[client] -= 1
        if not self._of_client[client]:
            del self._of_client[client]


def check_slots(limits: Limits, taken: int, of_client: int) -> None:
    """Raises Refused if all slots are taken, or all of a client's."""
    if taken >= limits.streams:
        raise Refused(
            "busy", f"all {limits.streams} streams are in use; try again later", 4429, 503
        )
    if of_client >= limits.streams_per_client:
        raise Refused(
            "busy",
            f"this address has {limits.streams_per_client} streams already; end one first",
            4429,
            429,
        )
