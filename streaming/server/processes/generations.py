"""Templates and their workers: started, replaced, and restarted as a whole."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress

from asr.errors import ConfigError
from streaming.server.processes import template as templates
from streaming.server.processes.channel import Message, pair
from streaming.server.processes.handover import HandOver
from streaming.server.processes.serving import Running, Serving
from streaming.server.processes.slots import SlotTable
from streaming.server.processes.workers import Process, Template, Worker

END_SECONDS = 16.0  # for workers to end, which takes each of them at most 15 s
RETRY_SECONDS = (0.25, 1.0, 4.0, 10.0)  # before a worker that ended at its start is replaced
MAX_EARLY_ENDS = 3  # of workers at the start of the server


class Generations:
    """All templates and workers. The workers of the current template get the connections."""

    def __init__(
        self,
        serving: Serving,
        running: Running,
        table: SlotTable,
        workers: list[Worker],
        handover: HandOver,
    ) -> None:
        """
        Args:
            workers: has all workers at every time.
            handover: is told of workers that are ready or have ended.
        """
        self._serving, self._running, self._table = serving, running, table
        self._workers, self._handover = workers, handover
        self._current: Template | None = None  # its workers get the connections
        self._next: Template | None = None  # SIGHUP has started it
        self._templates: list[Template] = []
        self._replaced = self._hung = 0
        self._is_serving = self._restart_again = self._ending = False
        self._killed: set[int] = set()  # processes that did not respond
        self._changed = asyncio.Event()

    async def start(self) -> bool:
        """Start the processes and wait for them; False if `end` came first.

        Raises:
            ConfigError: the model cannot be loaded, or the workers end at their start.
        """
        current = self._current = self._start_template()
        while not self._ending and not current.has_ready(self._running.processes):
            if current.failure:
                raise ConfigError(current.failure)
            if current.early_ends >= MAX_EARLY_ENDS:
                raise ConfigError(
                    "processes end at their start. Too little memory? Give fewer --processes"
                )
            self._changed.clear()
            await self._changed.wait()
        self._is_serving = not self._ending
        return self._is_serving

    def start_to_end(self) -> None:
        """Start and replace no process any more."""
        self._ending = True
        self._changed.set()

    async def end(self) -> None:
        """Let all workers end with their last words, then the templates."""
        for worker in self._workers:
            self._let_go(worker, "end")
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                while self._workers:
                    self._changed.clear()
                    await self._changed.wait()
                await self._handover.last_answers()
        for template in self._templates:
            if template.channel:
                template.channel.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while any(template.process.poll() is None for template in self._templates):
                    await asyncio.sleep(0.02)

    def kill_all(self) -> None:
        """Leave no process."""
        for worker in self._workers:
            worker.kill()
        for template in self._templates:
            template.kill()
            template.process.wait()

    # Processes that do not respond

    def asked(self) -> Iterator[Process]:
        """Those that have to respond: not a template that loads the model, nor a worker that it has
        not started, nor a process that was killed."""
        loaded = (template for template in self._templates if template.is_loaded)
        for process in (*self._workers, *loaded):
            if process.pid is not None and process.pid not in self._killed:
                yield process

    def note_figures(self) -> None:
        """Write how many processes accept connections and so on."""
        everybody: tuple[Process, ...] = (*self._workers, *self._templates)
        self._table.note(
            processes=sum(worker.accepts for worker in self._workers),
            not_responding=sum(process.pulse.is_late for process in everybody),
            replaced=self._replaced,
            hung=self._hung,
        )
        self._changed.set()

    def on_hang(self, process: Process) -> None:
        """Kill it; the end of its channel starts what replaces it."""
        assert process.pid is not None
        silent = f"has not responded for {process.pulse.silent_seconds:.0f} s"
        self._running.report(f"process {process.pid} {silent} and is killed")
        self._killed.add(process.pid)
        self._hung += 1
        process.kill()

    # Templates

    def _start_template(self) -> Template:
        process, end = templates.start(self._serving, self._table, self._running.metrics_folder)
        template = Template(process, pid=process.pid)
        template.connect(end, self._on_template, self._on_template_end)
        self._templates.append(template)
        return template

    def _on_template(self, template: Template, message: Message) -> None:
        match message:
            case ["pong"]:
                self._on_answer(template)
            case ["loaded"]:
                template.is_loaded = True
                for _ in range(self._running.processes):
                    self._start_worker(template)
            case ["failed", str(reason)]:
                template.failure = reason
            case ["started", row, pid]:
                for worker in template.workers:
                    if worker.row == row:
                        worker.pid = pid
            case ["exited", int(pid), int(status)] if pid in self._killed:
                self._killed.discard(pid)
            case ["exited", pid, status] if status:
                what = f"signal {-status}" if status < 0 else f"status {status}"
                self._running.report(f"process {pid} has ended unexpectedly ({what})")
        self._changed.set()

    def _on_template_end(self, template: Template) -> None:
        """It could not load the model, or it was killed."""
        self._templates.remove(template)
        template.process.wait()
        self._killed.discard(template.process.pid)
        template.failure = template.failure or "the process that loads the model was killed"
        self.note_figures()
        if self._ending or not self._is_serving:
            return  # `start` reports the failure
        if template is self._next:
            self._next_has_failed(template.failure)
        elif template is self._current and not self._next:
            self._running.report(f"{template.failure}; another one starts")
            self.restart()

    # Restart

    def restart(self) -> None:
        """Start new processes with a freshly loaded model, which replace the current ones."""
        if self._ending or not self._is_serving:
            return
        rows = {worker.row for worker in self._workers}
        if self._next or self._table.rows - len(rows) < 2 * self._running.processes:
            self._restart_again = True  # when the running one, or the old processes, have ended
            return
        self._restart_again = False
        self._running.report("the processes restart")
        try:
            self._next = self._start_template()
        except ConfigError as error:
            self._restart_has_failed(str(error))

    def _next_has_failed(self, reason: str) -> None:
        failed, self._next = self._next, None
        assert failed
        for worker in failed.workers:
            self._let_go(worker, "end")
        self._end_if_idle(failed)
        self._restart_has_failed(reason)

    def _restart_has_failed(self, reason: str) -> None:
        self._running.report(f"the restart has failed, the old processes go on: {reason}")
        if self._current not in self._templates:  # it cannot replace workers
            asyncio.get_running_loop().call_later(RETRY_SECONDS[-1], self.restart)

    def _switch(self, template: Template) -> None:
        """The workers of this template are the current ones now."""
        old, self._current, self._next = self._current, template, None
        assert old
        for worker in old.workers:
            self._let_go(worker, "drain", self._running.drain_seconds)
        self._end_if_idle(old)
        self._running.report("the new processes serve; the old ones end with their streams")
        if self._restart_again:
            self.restart()

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
        if self._ending or template not in self._templates:
            return
        taken = {worker.row for worker in self._workers}
        row = next(row for row in range(self._table.rows) if row not in taken)
        with suppress(OSError):  # somebody may have removed it
            os.makedirs(self._running.metrics_folder, 0o700, exist_ok=True)
        try:
            front_end, worker_end = pair()
        except OSError as error:  # too many open files
            self._running.report(f"no process can be started now: {error.strerror}")
            template.early_ends += 1
            self._changed.set()
            asyncio.get_running_loop().call_later(RETRY_SECONDS[2], self._start_worker, template)
            return
        worker = Worker(row, template)
        worker.connect(front_end, self._on_worker, self._on_worker_end)
        template.workers.append(worker)
        self._workers.append(worker)
        assert template.channel
        template.channel.send("start", row, handed=worker_end, is_theirs=True)

    def _on_worker(self, worker: Worker, message: Message) -> None:
        match message:
            case ["pong"]:
                self._on_answer(worker)
            case ["ready"]:
                worker.is_ready = True
                is_next = worker.template is self._next
                if is_next and worker.template.has_ready(self._running.processes):
                    self._switch(worker.template)
                self._handover.on_ready()
                self.note_figures()
            case ["ending"] if not worker.is_leaving:  # somebody sent it SIGTERM
                worker.is_leaving = True
                self._start_worker(worker.template)
                self.note_figures()
            case _:
                self._handover.on_message(worker, message)

    def _on_answer(self, process: Process) -> None:
        was_late = process.pulse.is_late
        process.pulse.answered()
        if was_late:
            self._handover.on_ready()
            self.note_figures()

    def _on_worker_end(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.template.workers.remove(worker)
        self._table.clear(worker.row)
        if not worker.is_leaving and not self._ending:
            self._replace(worker)
        self._end_if_idle(worker.template)
        if self._restart_again and not self._next:
            self.restart()
        self.note_figures()
        self._handover.on_end(worker)

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
