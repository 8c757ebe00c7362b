"""What one client may ask of the server, so that no client can take it from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """All that is bounded. What goes beyond is refused with a message, never cut off silently."""

    streams: int = 50  # at once
    streams_per_client: int = 10  # from one address
    message_bytes: int = 2**20
    upload_bytes: int = 100 * 2**20
    upload_seconds: float = 3 * 3600.0  # of sound in one upload
    body_seconds: float = 30.0  # that the body of an upload may take,
    body_bytes_per_second: float = 16 * 2**10  # and a second more for so much of it
    head_seconds: float = 10.0  # that the head of a request may take
    idle_seconds: float = 60.0  # without a message
    longest_seconds: float = 3 * 3600.0  # of sound in one stream
    ahead_seconds: float = 60.0  # by which sound may come faster than time goes on
    custom_words: int = 1000  # of one stream
    word_sets: int = 20  # different sets of them that streams have at once
    slow_reader_seconds: float = 10.0  # that a message may wait to be taken


class Refused(Exception):
    """A request that cannot be honoured.

    `code` is a word for programs, `close_code` that of a WebSocket, `status` that of HTTP.
    """

    def __init__(self, code: str, message: str, close_code: int = 4400, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.close_code, self.status = code, message, close_code, status


class Places:
    """Counts the streams that run."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of_client: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Streams that run now."""
        return self._of_client.total()

    @contextmanager
    def one(self, client: str) -> Iterator[None]:
        """A place for one stream of that client.

        Raises:
            Refused: all places are taken, or all of this client's.
        """
        limits = self._limits
        if self.taken >= limits.streams:
            raise Refused(
                "busy", f"all {limits.streams} places are taken; try again later", 4429, 503
            )
        if self._of_client[client] >= limits.streams_per_client:
            raise Refused(
                "busy",
                f"this address has {limits.streams_per_client} streams already; end one first",
                4429,
                429,
            )
        self._of_client[client] += 1
        try:
            yield
        finally:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]
