"""Connections: accepted, handed to the least loaded worker, and told when their worker ends."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence

from streaming.server.processes.channel import Message
from streaming.server.processes.last_answers import BUSY, ENDED, Reason, answer, last_answer
from streaming.server.processes.slots import SlotTable
from streaming.server.processes.workers import Connection, Worker

ACCEPT_PAUSE_SECONDS = 0.5  # when the front has no more file descriptors


class HandOver:
    """Accepts connections and hands them to workers."""

    def __init__(
        self,
        listening: Sequence[tuple[socket.socket, str]],
        workers: Sequence[Worker],
        table: SlotTable,
        is_encrypted: bool,
    ) -> None:
        """
        Args:
            listening: sockets, each with what it serves: http or wyoming.
            workers: all workers at every time.
            table: the streams of each.
            is_encrypted: HTTP has TLS.
        """
        self._listening, self._workers, self._table = listening, workers, table
        self._is_encrypted = is_encrypted
        self._unhandled: deque[Connection] = deque()  # no worker accepts connections
        self._number = 0
        self._ended = False
        self._answers: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Accept connections."""
        for listening, kind in self._listening:
            self._listen(listening, kind)

    def end(self) -> None:
        """Accept none any more."""
        self._ended = True
        for listening, _ in self._listening:
            asyncio.get_running_loop().remove_reader(listening.fileno())
            listening.close()
        for connection in self._unhandled:
            connection.socket.close()

    async def last_answers(self) -> None:
        """Wait until clients of ended workers have got their last answers."""
        await asyncio.gather(*self._answers)

    def _listen(self, listening: socket.socket, kind: str) -> None:
        if not self._ended:
            loop = asyncio.get_running_loop()
            loop.add_reader(listening.fileno(), self._accept, listening, kind)

    def _accept(self, listening: socket.socket, kind: str) -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no more file descriptors: try again when some connections have ended
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening.fileno())
                loop.call_later(ACCEPT_PAUSE_SECONDS, self._listen, listening, kind)
                return
            accepted.setblocking(False)
            self._number += 1
            doing = "new" if kind == "http" else "wyoming"
            self._hand_over(Connection(self._number, accepted, kind, doing))  # type: ignore[arg-type]

    def _hand_over(self, connection: Connection) -> None:
        """Give it to the worker with the fewest streams."""
        accepting = [worker for worker in self._workers if worker.accepts]
        if not accepting:
            self._unhandled.append(connection)
            return
        worker = min(accepting, key=lambda worker: worker.load(self._table))
        worker.connections[connection.number] = connection
        assert worker.channel
        worker.channel.send("take", connection.number, connection.kind, handed=connection.socket)

    def on_ready(self) -> None:
        """A worker accepts connections."""
        waiting, self._unhandled = self._unhandled, deque()
        for connection in waiting:
            self._hand_over(connection)

    def on_message(self, worker: Worker, message: Message) -> None:
        """What a worker says of a connection."""
        match message:
            case ["taken", int(number)] if connection := worker.connections.get(number):
                connection.is_taken = True
            case ["doing", int(number), doing] if connection := worker.connections.get(number):
                connection.doing = doing
            case ["refused", int(number)] if connection := worker.connections.pop(number, None):
                self._dismiss(connection, BUSY)
            case ["closed", int(number)] if connection := worker.connections.pop(number, None):
                connection.socket.close()

    def on_end(self, worker: Worker) -> None:
        """A worker has ended: its clients get their last answers, except for those from which it
        has read nothing. They get another worker."""
        for connection in worker.connections.values():
            if connection.is_taken:
                self._dismiss(connection, ENDED)
            else:
                self._hand_over(connection)

    def _dismiss(self, connection: Connection, reason: Reason) -> None:
        encrypted = self._is_encrypted and connection.kind == "http"
        data = b"" if encrypted else last_answer(connection.doing, reason)
        task = asyncio.ensure_future(answer(connection.socket, data))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
