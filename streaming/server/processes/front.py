"""The front: accepts connections, hands them to workers, and replaces workers that end."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from asr.errors import ConfigError
from streaming.server.connections.addresses import listening_sockets, shown, wyoming_option
from streaming.server.processes import template as templates
from streaming.server.processes.channel import Channel, Message, pair
from streaming.server.processes.last_answers import answer, last_answer
from streaming.server.processes.serving import Serving
from streaming.server.processes.slots import SlotTable
from streaming.server.processes.workers import Connection, Template, Worker

DRAIN_SECONDS = 300.0  # that streams of old processes may continue after SIGHUP
END_SECONDS = 16.0  # for workers to end, which takes each of them at most 15 s
RETRY_SECONDS = (0.25, 1.0, 4.0, 10.0)  # before a worker that ended at its start is replaced
MAX_EARLY_ENDS = 3  # of workers at the start of the server
ACCEPT_PAUSE_SECONDS = 0.5  # when the front has no more file descriptors


def serve(
    serving: Serving,
    processes: int,
    host: str,
    port: int,
    ready: Callable[[str], None],
    report: Callable[[str], None],
    wyoming: tuple[str, int] | None = None,
    drain_seconds: float = DRAIN_SECONDS,
) -> None:
    """Serve with several processes until Ctrl-C or SIGTERM. SIGHUP starts new ones with a freshly
    loaded model; the old ones end with their streams.

    Args:
        ready: called with each address once all processes run.
        report: called with a line when a process is replaced.
        drain_seconds: that streams of old processes may continue after SIGHUP.

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
        folder = tempfile.TemporaryDirectory(prefix="rill-metrics-")
    except OSError as error:
        raise ConfigError(
            f"{tempfile.gettempdir()}: no folder for the metrics can be made there "
            f"({error.strerror}); set TMPDIR to a folder that can be written"
        ) from None
    with folder as metrics_folder:
        front = Front(serving, processes, listening, report, drain_seconds, metrics_folder)
        try:
            asyncio.run(front.run(ready))
        finally:
            front.kill_all()


class Front:
    """All processes, and the connections that they have."""

    def __init__(
        self,
        serving: Serving,
        processes: int,
        listening: Sequence[tuple[socket.socket, str]],
        report: Callable[[str], None],
        drain_seconds: float,
        metrics_folder: str,
    ) -> None:
        self._serving, self._processes, self._listening = serving, processes, listening
        self._report, self._drain_seconds = report, drain_seconds
        self._metrics_folder = metrics_folder
        # Rows for the current workers, for those that start, and for those that end.
        self._table = SlotTable.of(serving.limits, 4 * processes + 8)
        self._current: Template | None = None  # its workers get the connections
        self._next: Template | None = None  # SIGHUP has started it
        self._templates: list[Template] = []
        self._workers: list[Worker] = []
        self._unhandled: deque[Connection] = deque()  # no worker accepts connections
        self._number = self._replaced = 0
        self._is_serving = self._restart_again = False
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._failure: str | None = None
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal; `ready` is called with each address."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end_signal)
        loop.add_signal_handler(signal.SIGHUP, self._restart)
        self._current = self._start_template()
        while not self._ending.is_set() and not self._current.has_ready(self._processes):
            self._raise_failure(self._current)
            self._changed.clear()
            await self._changed.wait()
        if not self._ending.is_set():
            self._is_serving = True
            scheme = "https" if self._serving.tls else "http"
            announced = set()
            for listening, kind in self._listening:
                loop.add_reader(listening.fileno(), self._accept, listening, kind)
                if kind not in announced:
                    announced.add(kind)
                    url = f"{scheme}://{shown(listening)}/" if kind == "http" else None
                    ready(url or f"tcp://{shown(listening)}")
        await self._ending.wait()
        await self._end()
        if self._failure:
            raise ConfigError(self._failure)

    def kill_all(self) -> None:
        """Leave no process."""
        for worker in self._workers:
            if worker.pid:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
        for template in self._templates:
            template.process.kill()
            template.process.wait()

    # Connections

    def _accept(self, listening: socket.socket, kind: str) -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no more file descriptors: try again when some connections have ended
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening.fileno())
                loop.call_later(ACCEPT_PAUSE_SECONDS, self._accept_again, listening, kind)
                return
            accepted.setblocking(False)
            self._number += 1
            doing = "new" if kind == "http" else "wyoming"
            self._hand_over(Connection(self._number, accepted, kind, doing))  # type: ignore[arg-type]

    def _accept_again(self, listening: socket.socket, kind: str) -> None:
        if not self._ending.is_set():
            asyncio.get_running_loop().add_reader(listening.fileno(), self._accept, listening, kind)

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

    def _hand_over_unhandled(self) -> None:
        waiting, self._unhandled = self._unhandled, deque()
        for connection in waiting:
            self._hand_over(connection)

    # Templates

    def _start_template(self) -> Template:
        process, end = templates.start(self._serving, self._table, self._metrics_folder)
        template = Template(process)
        template.channel = Channel(
            end,
            lambda message, _: self._on_template(template, message),
            lambda: self._on_template_end(template),
        )
        self._templates.append(template)
        return template

    def _on_template(self, template: Template, message: Message) -> None:
        match message:
            case ["loaded"]:
                template.is_loaded = True
                for _ in range(self._processes):
                    self._start_worker(template)
            case ["failed", str(reason)]:
                template.failure = reason
            case ["started", row, pid]:
                for worker in template.workers:
                    if worker.row == row:
                        worker.pid = pid
            case ["exited", pid, status] if status:
                what = f"signal {-status}" if status < 0 else f"status {status}"
                self._report(f"process {pid} has ended unexpectedly ({what})")
        self._changed.set()

    def _on_template_end(self, template: Template) -> None:
        """It could not load the model, or it was killed."""
        self._templates.remove(template)
        template.process.wait()
        template.failure = template.failure or "the process that loads the model was killed"
        self._changed.set()
        if self._ending.is_set() or not self._is_serving:
            return  # `run` reports the failure
        if template is self._next:
            self._next_has_failed(template.failure)
        elif template is self._current and not self._next:
            self._report(f"{template.failure}; another one starts")
            self._restart()

    def _raise_failure(self, template: Template) -> None:
        if template.failure:
            raise ConfigError(template.failure)
        if template.early_ends >= MAX_EARLY_ENDS:
            raise ConfigError(
                "processes end at their start. Too little memory? Give fewer --processes"
            )

    # Restart

    def _restart(self) -> None:
        if self._ending.is_set() or not self._is_serving:
            return
        rows = {worker.row for worker in self._workers}
        if self._next or self._table.rows - len(rows) < 2 * self._processes:
            self._restart_again = True  # when the running one, or the old processes, have ended
            return
        self._restart_again = False
        self._report("the processes restart")
        self._next = self._start_template()

    def _next_has_failed(self, reason: str) -> None:
        self._report(f"the restart has failed, the old processes go on: {reason}")
        failed, self._next = self._next, None
        assert failed
        for worker in failed.workers:
            self._let_go(worker, "end")
        self._end_if_idle(failed)
        if self._current not in self._templates:  # it cannot replace workers
            asyncio.get_running_loop().call_later(RETRY_SECONDS[-1], self._restart)

    def _switch(self, template: Template) -> None:
        """The workers of this template are the current ones now."""
        old, self._current, self._next = self._current, template, None
        assert old
        for worker in old.workers:
            self._let_go(worker, "drain", self._drain_seconds)
        self._end_if_idle(old)
        self._report("the new processes serve; the old ones end with their streams")
        if self._restart_again:
            self._restart()

    def _let_go(self, worker: Worker, *message: object) -> None:
        worker.is_leaving = True
        assert worker.channel
        worker.channel.send(*message)

    def _end_if_idle(self, template: Template) -> None:
        if template is not self._current and template is not self._next and not template.workers:
            if template.channel:
                template.channel.close()
            if template in self._templates:
                self._templates.remove(template)
                template.process.wait()

    # Workers

    def _start_worker(self, template: Template) -> None:
        if self._ending.is_set() or template not in self._templates:
            return
        taken = {worker.row for worker in self._workers}
        row = next(row for row in range(self._table.rows) if row not in taken)
        front_end, worker_end = pair()
        worker = Worker(row, template)
        worker.channel = Channel(
            front_end,
            lambda message, _: self._on_worker(worker, message),
            lambda: self._on_worker_end(worker),
        )
        template.workers.append(worker)
        self._workers.append(worker)
        assert template.channel
        template.channel.send("start", row, handed=worker_end, is_theirs=True)

    def _on_worker(self, worker: Worker, message: Message) -> None:
        connection = worker.connections.get(message[1]) if len(message) > 1 else None
        match message:
            case ["taken", _] if connection:
                connection.is_taken = True
            case ["doing", _, doing] if connection:
                connection.doing = doing
            case ["closed", _] if connection:
                del worker.connections[connection.number]
                connection.socket.close()
            case ["ready"]:
                worker.is_ready = True
                is_next = worker.template is self._next
                if is_next and worker.template.has_ready(self._processes):
                    self._switch(worker.template)
                self._hand_over_unhandled()
                self._on_change()
            case ["ending"] if not worker.is_leaving:  # somebody sent it SIGTERM
                worker.is_leaving = True
                self._start_worker(worker.template)
                self._on_change()

    def _on_worker_end(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.template.workers.remove(worker)
        self._table.clear(worker.row)
        for connection in worker.connections.values():
            if connection.is_taken:
                self._say_goodbye(connection)
            else:  # the worker has read nothing from it
                connection.is_taken = False
                self._hand_over(connection)
        if not worker.is_leaving and not self._ending.is_set():
            self._replace(worker)
        self._end_if_idle(worker.template)
        if self._restart_again and not self._next:
            self._restart()
        self._on_change()

    def _replace(self, worker: Worker) -> None:
        self._replaced += 1
        template, seconds = worker.template, 0.0
        if worker.is_young:
            seconds = RETRY_SECONDS[min(template.early_ends, len(RETRY_SECONDS) - 1)]
            template.early_ends += 1
        else:
            template.early_ends = 0
        if template is self._next and template.early_ends >= MAX_EARLY_ENDS:
            self._next_has_failed("its processes end at their start")
        else:
            asyncio.get_running_loop().call_later(seconds, self._start_worker, template)

    def _say_goodbye(self, connection: Connection) -> None:
        encrypted = self._serving.tls and connection.kind == "http"
        data = b"" if encrypted else last_answer(connection.doing)
        task = asyncio.ensure_future(answer(connection.socket, data))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    def _on_change(self) -> None:
        self._table.note(sum(worker.accepts for worker in self._workers), self._replaced)
        self._changed.set()

    # The end

    def _on_end_signal(self) -> None:
        if self._ending.is_set():  # the second one: at once
            self.kill_all()
        self._ending.set()
        self._changed.set()

    async def _end(self) -> None:
        for listening, _ in self._listening:
            asyncio.get_running_loop().remove_reader(listening.fileno())
            listening.close()
        for connection in self._unhandled:
            connection.socket.close()
        for worker in self._workers:
            self._let_go(worker, "end")
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                while self._workers:
                    self._changed.clear()
                    await self._changed.wait()
                await asyncio.gather(*self._answers)
        for template in self._templates:
            if template.channel:
                template.channel.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while any(template.process.poll() is None for template in self._templates):
                    await asyncio.sleep(0.02)
