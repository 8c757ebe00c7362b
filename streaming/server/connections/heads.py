"""HTTP with a timeout for request heads: a client that connects and sends no request is
disconnected.

uvicorn bounds the time between two requests, and the routes bound what follows a head. This bounds
the head itself, of the first request and of every later one on the same connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

TIMEOUT_TEXT = "the head of the request did not arrive within {seconds:.0f} s\n"
RESPONSE = (
    "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n"
    "content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{text}"
)


class PromptHttp(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # h11's or httptools'
    """uvicorn's protocol with a timeout for each request head."""

    def __init__(self, *arguments: Any, head_seconds: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_seconds = head_seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """A part of a head, or of what follows it."""
        if self._reading_head and self._timer is None:
            self._start_timer()
        super().data_received(data)
        if not self._reading_head:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has disconnected."""
        self._stop_timer()
        super().connection_lost(exc)

    @property
    def _reading_head(self) -> bool:
        if self.transport.get_protocol() is not self:
            return False  # a WebSocket by now
        return self.cycle is None or self.cycle.response_complete

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._head_seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        text = TIMEOUT_TEXT.format(seconds=self._head_seconds)
        self.transport.write(RESPONSE.format(length=len(text), text=text).encode())
        self.transport.close()
