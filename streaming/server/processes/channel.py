"""Messages between the front and its processes, over a pair of sockets.

A message is a list that starts with its name; it may carry a file descriptor. The messages:

front → template   start ROW (a worker's end of its channel); ping
template → front   loaded; failed REASON; started ROW PID; exited PID STATUS; pong
front → worker     take NUMBER KIND (a connection); drain SECONDS; end; ping
worker → front     ready; taken NUMBER; refused NUMBER; doing NUMBER WHAT; closed NUMBER; ending;
                   pong
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

MAX_BYTES = 2**16  # of a message

Message = list[Any]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a channel, which keeps the bounds of messages and notices the other's end."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, *message: object) -> None:
    """Send a message on a blocking socket."""
    end.send(json.dumps(message).encode())


def receive(end: socket.socket) -> tuple[Message, list[int]] | None:
    """A message and its descriptors; None when the other end has ended.

    Raises:
        BlockingIOError: none has arrived on a socket that does not block.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(end, MAX_BYTES, 1)
    except ConnectionError:
        return None
    return (json.loads(data), descriptors) if data else None


class Channel:
    """An end of a channel in an event loop. A message that cannot be sent yet waits."""

    def __init__(
        self,
        end: socket.socket,
        on_message: Callable[[Message, list[int]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._end, self._on_message, self._on_end = end, on_message, on_end
        self._waiting: deque[tuple[bytes, socket.socket | None, bool]] = deque()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        end.setblocking(False)
        self._loop.add_reader(end.fileno(), self._read)

    def send(
        self, *message: object, handed: socket.socket | None = None, is_theirs: bool = False
    ) -> None:
        """Send a message, and a duplicate of this socket with it.

        Args:
            is_theirs: close the socket here once it is sent.
        """
        if self._closed:
            return
        self._waiting.append((json.dumps(message).encode(), handed, is_theirs))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """Close this end; `on_end` is not called."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._end.fileno())
            self._loop.remove_writer(self._end.fileno())
            self._end.close()
            self._waiting.clear()

    def _write(self) -> None:
        while self._waiting:
            data, handed, is_theirs = self._waiting[0]
            try:
                if handed is None:
                    self._end.send(data)
                elif handed.fileno() >= 0:
                    socket.send_fds(self._end, [data], [handed.fileno()])
            except BlockingIOError:
                self._loop.add_writer(self._end.fileno(), self._write)
                return
            except OSError:  # the other end has ended; the reader notices
                self._waiting.clear()
                break
            self._waiting.popleft()
            if handed is not None and is_theirs:
                handed.close()
        self._loop.remove_writer(self._end.fileno())

    def _read(self) -> None:
        while not self._closed:
            try:
                received = receive(self._end)
            except BlockingIOError:
                return
            if received is None:
                self.close()
                self._on_end()
                return
            self._on_message(*received)
