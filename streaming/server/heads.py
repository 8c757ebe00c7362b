"""HTTP whose heads come in time: who connects and does not say what it wants gives its place up.

uvicorn bounds the time between two requests, and Starlette's routes what comes after a head; this
bounds the head itself, of the first request and of every later one on the same connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

TOO_LATE = "the head of the request did not come within {seconds:.0f} s\n"
ANSWER = (
    "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n"
    "content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{text}"
)


class PromptHttp(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # h11's or httptools'
    """uvicorn's, which waits so many seconds for a head."""

    def __init__(self, *arguments: Any, head_seconds: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_seconds = head_seconds
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client; it has said nothing."""
        super().connection_made(transport)
        self._start_to_wait()

    def data_received(self, data: bytes) -> None:
        """A part of a head, or of what comes after it."""
        if self._within_a_head and self._patience is None:
            self._start_to_wait()
        super().data_received(data)
        if not self._within_a_head:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _within_a_head(self) -> bool:
        if self.transport.get_protocol() is not self:
            return False  # a WebSocket by now
        return self.cycle is None or self.cycle.response_complete

    def _start_to_wait(self) -> None:
        self._patience = self.loop.call_later(self._head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self.transport.is_closing():
            return
        text = TOO_LATE.format(seconds=self._head_seconds)
        self.transport.write(ANSWER.format(length=len(text), text=text).encode())
        self.transport.close()
