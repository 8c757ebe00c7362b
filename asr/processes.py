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
def sharing(processes: int) -> Iterator[Share]:
    """A `map` that these processes work on, in the order of the items; all are gone at the end,
    whatever ended it.

    Whatever they shall share must be loaded before. The map raises ConfigError when one of them was
    killed.
    """
    pool = ProcessPoolExecutor(processes, _context(), _begin)
    try:
        pool.submit(os.getpid).result()  # forks them now, before there are threads
        yield lambda work, items: _in_order(pool, work, items, AHEAD * processes)
    finally:
        workers = multiprocessing.active_children()
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        # The pool's own thread closes its pipes; a process that ends meanwhile would find some of
        # them closed, and Python would say so on standard error.
        pool.shutdown(wait=True)


def _context() -> BaseContext:
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _in_order(
    pool: ProcessPoolExecutor, work: Callable[[Item], Any], items: Iterable[Item], ahead: int
) -> Iterator[Any]:
    waiting: deque[tuple[Item, Future[Any]]] = deque()

    def first() -> Any:
        item, future = waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            raise ConfigError(
                f"a process was killed, at {item[0]} or a recording after it. Too little memory? "
                "Give fewer --processes"
            ) from None

    for item in items:
        waiting.append((item, pool.submit(work, item)))
        if len(waiting) > ahead:
            yield first()
    while waiting:
        yield first()


def _begin() -> None:
    """Leaves Ctrl-C to the process that began this one, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent

    def end_with_it() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()
