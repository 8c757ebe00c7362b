"""Maps work over several processes of one machine, with results in order.

Threads would not run in parallel, because the beam search holds Python's lock. On Linux the
processes are forked and share what the parent has loaded: trie, language model, weights.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Any

from asr.errors import ConfigError

MAX_QUEUED_ITEMS = 50  # per process, submitted ahead of the oldest unfinished one
MAX_IDLE_DEATHS = 3  # of processes that had no item

Item = list[str]  # recordings that a process gets together
Share = Callable[[Callable[[Item], Any], Iterable[Item]], Iterator[Any]]


def why_not_shared() -> str | None:
    """The reason that processes cannot share work on this machine; None if they can."""
    try:
        _context().Lock()
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"processes cannot share work here: this needs /dev/shm ({reason})"
    return None


@contextmanager
def sharing(processes: int, lost: Callable[[Item], Any]) -> Iterator[Share]:
    """A `map` over processes, which yields results in the order of the items.

    Load everything that the processes share before the call. When one of them is killed, new ones
    continue with the remaining items. All processes end when the context ends.

    Args:
        lost: gives the result of an item whose process was killed.

    Raises:
        ConfigError: the processes are killed again and again.
    """
    pools = [_Pool(processes)]  # the last one is active
    try:
        yield lambda work, items: _in_order(pools, work, items, lost)
    finally:
        pools[-1].end()


def _context() -> BaseContext:
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


class _Pool:
    """Processes, and the current item of each."""

    def __init__(self, processes: int) -> None:
        self.processes, self.broken = processes, False
        context = _context()
        # For each process: its id, and 1 + the number of its current item or 0.
        self._current = context.RawArray("q", 2 * processes)
        started = context.Value("i", 0)
        self._executor = ProcessPoolExecutor(processes, context, _start, (started, self._current))
        try:
            self._executor.submit(os.getpid).result()  # forks them before threads are started
        except BrokenProcessPool:
            raise ConfigError(
                "processes are killed at their start. Too little memory? Give fewer --processes"
            ) from None
        self._workers = multiprocessing.active_children()

    def submit(self, number: int, work: Callable[[Item], Any], item: Item) -> Future[Any]:
        """Submit an item; `killed_at` reports its number if its process is killed."""
        try:
            return self._executor.submit(_work, number, work, item)
        except BrokenProcessPool as error:
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken

    def end(self) -> None:
        """End the processes."""
        if self.broken:  # the executor ends them; polling them would consume their exit codes
            self._executor.shutdown(wait=True, cancel_futures=True)
            return
        workers = multiprocessing.active_children()
        # The executor's thread closes its pipes. If the program ends at the same time, Python
        # prints an error about closed pipes. shutdown() drops its reference to that thread, and
        # cannot wait for it here, because the processes are terminated before their work is done.
        closing: threading.Thread | None = getattr(self._executor, "_executor_manager_thread", None)
        self._executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        if closing:
            closing.join(timeout=10)

    def killed_at(self) -> set[int]:
        """Numbers of the items whose processes were killed; call it after `end`.

        Processes that the executor terminated because another one died are excluded. If no process
        remains, all current items are returned.
        """
        exits = {worker.pid: worker.exitcode for worker in self._workers}
        pairs = zip(self._current[::2], self._current[1::2])
        current = {pid: number - 1 for pid, number in pairs if number}
        ended = (None, -signal.SIGTERM)
        killed = {number for pid, number in current.items() if exits.get(pid) not in ended}
        return killed or set(current.values())


def _in_order(
    pools: list[_Pool],
    work: Callable[[Item], Any],
    items: Iterable[Item],
    lost: Callable[[Item], Any],
) -> Iterator[Any]:
    waiting: deque[tuple[int, Item, Future[Any]]] = deque()
    idle_deaths = 0

    def restart() -> None:
        nonlocal idle_deaths
        pools[-1].broken = True
        pools[-1].end()
        killed_at = pools[-1].killed_at()
        idle_deaths += not killed_at
        if idle_deaths > MAX_IDLE_DEATHS:
            raise ConfigError(
                f"processes are killed again and again, at {waiting[0][1][0]} or a later "
                "recording. Too little memory? Give fewer --processes"
            )
        pools.append(_Pool(pools[-1].processes))
        for _ in range(len(waiting)):
            number, item, future = waiting.popleft()
            if future.cancelled() or isinstance(future.exception(), BrokenProcessPool):
                if number in killed_at:
                    future = Future()
                    future.set_result(lost(item))
                else:
                    future = pools[-1].submit(number, work, item)
            waiting.append((number, item, future))

    def first() -> Any:
        while True:
            try:
                result = waiting[0][2].result()
            except BrokenProcessPool:
                restart()
                continue
            waiting.popleft()
            return result

    for number, item in enumerate(items):
        waiting.append((number, item, pools[-1].submit(number, work, item)))
        if len(waiting) > MAX_QUEUED_ITEMS * pools[-1].processes:
            yield first()
    while waiting:
        yield first()


_slot: tuple[Any, int] | None = None  # in a process: the array and index of its current item


def _work(number: int, work: Callable[[Item], Any], item: Item) -> Any:
    assert _slot
    current, place = _slot
    current[place] = number + 1
    try:
        return work(item)
    finally:
        current[place] = 0


def _start(started: Any, current: Any) -> None:
    """Initialise a process: it leaves Ctrl-C to its parent and ends with it."""
    global _slot
    with started.get_lock():
        place, started.value = 2 * started.value, started.value + 1
    current[place] = os.getpid()
    _slot = current, place + 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
