"""The process that loads the model and forks workers, which share its memory.

It serves nothing and has no threads: ONNX Runtime's sessions have none if a run has one thread, and
the threads of a worker start after the fork. Each generation of workers has a template of its own,
in a fresh interpreter, so a restart loads the current files.
"""

from __future__ import annotations

import gc
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from asr.errors import ConfigError, RillError
from streaming.server.processes.channel import pair, receive, send
from streaming.server.processes.serving import Serving
from streaming.server.processes.slots import SlotTable

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read when prometheus-client is imported
PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from {module} import main; main({end}, {table}, {rows})"
)
MAX_SETTINGS_BYTES = 2**17


def start(
    serving: Serving, table: SlotTable, metrics_folder: str
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a template; the second value is the front's end of its channel.

    Raises:
        ConfigError: too many open files, too many processes, or too little memory.
    """
    try:
        front, end = pair()
        with end:
            program = PROGRAM.format(
                path=sys.path,
                module=__name__,
                end=end.fileno(),
                table=table.descriptor,
                rows=table.rows,
            )
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=(end.fileno(), table.descriptor),
                env=os.environ | {METRICS_FOLDER: metrics_folder},
            )
    except OSError as error:
        raise ConfigError(f"no process can be started: {error.strerror}") from None
    with suppress(OSError):  # it has ended already, which the front notices
        front.send(pickle.dumps(serving))
    return process, front


def main(end_descriptor: int, table_descriptor: int, rows: int) -> NoReturn:
    """The template's program, until the front ends or says so."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the front decides
        signal.signal(ignored, signal.SIG_IGN)
    end = socket.socket(fileno=end_descriptor)
    serving: Serving = pickle.loads(end.recv(MAX_SETTINGS_BYTES))
    try:
        recognizer = serving.load()
        recognizer.warm_up()
        if serving.tls:
            serving.tls.context()
        from streaming.server.processes import worker  # its imports are shared too
    except RillError as error:
        _fail(end, str(error))
    except Exception as error:
        traceback.print_exc()
        _fail(end, f"an unexpected error: {error!r}")
    table = SlotTable(table_descriptor, rows)
    gc.collect()
    gc.freeze()  # a collection in a worker would write to, and so copy, the pages of all objects

    def work(control: socket.socket, row: int) -> None:
        worker.run(control, row, recognizer, serving, table)

    _fork_until_the_end(end, work)
    os._exit(0)


def _fail(end: socket.socket, reason: str) -> NoReturn:
    with suppress(OSError):  # nobody waits for it any more
        send(end, "failed", reason)
    os._exit(1)


def _fork_until_the_end(end: socket.socket, work: Callable[[socket.socket, int], None]) -> None:
    """Fork a worker for each message, and report those that end."""
    woken, wakes = socket.socketpair()
    woken.setblocking(False)
    wakes.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    selector = selectors.DefaultSelector()
    selector.register(end, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    inherited = (woken, wakes, selector, end)
    with suppress(OSError):  # the server has ended in the meantime, which `receive` tells
        send(end, "loaded")
    while True:
        for key, _ in selector.select():
            if key.fileobj is woken:
                with suppress(BlockingIOError):
                    woken.recv(1000)
                _report_ended(end)
                continue
            received = receive(end)
            match received:
                case None:
                    return
                case ["ping"], _:
                    with suppress(OSError):
                        send(end, "pong")
                case ["start", int(row)], [descriptor]:
                    _fork(end, row, socket.socket(fileno=descriptor), inherited, work)


def _fork(
    end: socket.socket,
    row: int,
    control: socket.socket,
    inherited: tuple[socket.socket | selectors.BaseSelector, ...],
    work: Callable[[socket.socket, int], None],
) -> None:
    try:
        pid = os.fork()
    except OSError as error:  # too little memory, or too many processes
        print(f"rill: no process can be started: {error.strerror}", file=sys.stderr, flush=True)
        control.close()
        return
    if pid:
        control.close()
        with suppress(OSError):
            send(end, "started", row, pid)
        return
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in inherited:
            one.close()
        work(control, row)
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _report_ended(end: socket.socket) -> None:
    with suppress(ChildProcessError, OSError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            send(end, "exited", pid, os.waitstatus_to_exitcode(status))
