"""Work shared out among processes of one machine, its results in order.

Threads would not do: the beam search keeps Python's lock while it works. Where processes
can be forked they share what was loaded before: trie, language model, weights.
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

AHEAD = 50  # items a process that may be waiting for one before them

MAX_IDLE_DEATHS = 3  # of processes that had nothing in hand

Item = list[str]  # recordings that a process takes together
Share = Callable[[Callable[[Item], Any], Iterable[Item]], Iterator[Any]]


def why_not_shared() -> str | None:
    """What keeps processes from sharing work on this machine; None if nothing does."""
    try:
        _context().Lock()
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"processes cannot share work here, for which /dev/shm is needed ({reason})"
    return None


@contextmanager
def sharing(processes: int, lost: Callable[[Item], Any]) -> Iterator[Share]:
    """A `map` that these processes work on, in the order of the items; all are gone at the end,
    whatever ended it.

    Whatever they shall share must be loaded before. When one of them is killed, new ones go on with
    the rest. The map raises ConfigError when they are killed again and again.

    Args:
        lost: what the map gives for the item that a process had when it was killed.
    """
    pools = [_Pool(processes)]  # the last is at work
    try:
        yield lambda work, items: _in_order(pools, work, items, lost)
    finally:
        pools[-1].end()


def _context() -> BaseContext:
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


class _Pool:
    """Processes, and what each of them has in hand."""

    def __init__(self, processes: int) -> None:
        self.processes, self.broken = processes, False
        context = _context()
        # Of each process its id, and 1 + the number of its item or 0.
        self._in_hand = context.RawArray("q", 2 * processes)
        started = context.Value("i", 0)
        self._executor = ProcessPoolExecutor(processes, context, _start, (started, self._in_hand))
        try:
            self._executor.submit(os.getpid).result()  # forks them now, before there are threads
        except BrokenProcessPool:
            raise ConfigError(
                "processes are killed as they begin. Too little memory? Give fewer --processes"
            ) from None
        self._workers = multiprocessing.active_children()

    def submit(self, number: int, work: Callable[[Item], Any], item: Item) -> Future[Any]:
        """The work on an item, whose number is told if its process is killed."""
        try:
            return self._executor.submit(_work, number, work, item)
        except BrokenProcessPool as error:
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken

    def end(self) -> None:
        """Ends the processes."""
        if self.broken:  # the pool ends them itself; who asks meanwhile takes their exit codes away
            self._executor.shutdown(wait=True, cancel_futures=True)
            return
        workers = multiprocessing.active_children()
        # The pool's own thread closes its pipes; a program that ends meanwhile would find some of
        # them closed, and Python would say so on standard error. shutdown() forgets that thread,
        # and cannot wait for it once the processes are to be ended before their work is done.
        closing: threading.Thread | None = getattr(self._executor, "_executor_manager_thread", None)
        self._executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        if closing:
            closing.join(timeout=10)

    def killed_at(self) -> set[int]:
        """After the end: numbers of the items that processes had which did not end because another
        was killed; of all that were in hand when that cannot be told."""
        exits = {worker.pid: worker.exitcode for worker in self._workers}
        pairs = zip(self._in_hand[::2], self._in_hand[1::2])
        in_hand = {pid: number - 1 for pid, number in pairs if number}
        ended = (None, -signal.SIGTERM)
        killed = {number for pid, number in in_hand.items() if exits.get(pid) not in ended}
        return killed or set(in_hand.values())


def _in_order(
    pools: list[_Pool],
    work: Callable[[Item], Any],
    items: Iterable[Item],
    lost: Callable[[Item], Any],
) -> Iterator[Any]:
    waiting: deque[tuple[int, Item, Future[Any]]] = deque()
    idle_deaths = 0

    def start_again() -> None:
        nonlocal idle_deaths
        pools[-1].broken = True
        pools[-1].end()
        killed_at = pools[-1].killed_at()
        idle_deaths += not killed_at
        if idle_deaths > MAX_IDLE_DEATHS:
            raise ConfigError(
                f"processes are killed again and again, at {waiting[0][1][0]} or a recording after "
                "it. Too little memory? Give fewer --processes"
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
                found = waiting[0][2].result()
            except BrokenProcessPool:
                start_again()
                continue
            waiting.popleft()
            return found

    for number, item in enumerate(items):
        waiting.append((number, item, pools[-1].submit(number, work, item)))
        if len(waiting) > AHEAD * pools[-1].processes:
            yield first()
    while waiting:
        yield first()


_hand: tuple[Any, int] | None = None  # in a process: where it tells what it has in hand


def _work(number: int, work: Callable[[Item], Any], item: Item) -> Any:
    assert _hand
    in_hand, place = _hand
    in_hand[place] = number + 1
    try:
        return work(item)
    finally:
        in_hand[place] = 0


def _start(started: Any, in_hand: Any) -> None:
    """Leaves Ctrl-C to the process that began this one, and ends with it."""
    global _hand
    with started.get_lock():
        place, started.value = 2 * started.value, started.value + 1
    in_hand[place] = os.getpid()
    _hand = in_hand, place + 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent

    def end_with_it() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()
