"""Whether the processes respond: the front asks each of them, and its event loop answers.

Recognition and uploads run on threads, so a process answers while it works, if later: threads share
the lock of Python's interpreter. A process that does not answer for the time
of `--hang-seconds` hangs: it was stopped, or its event loop is blocked. Only time in which the
front itself ran counts, so a machine, container or process group that was suspended loses no
process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from streaming.server.processes.channel import Channel

HANG_SECONDS = 10.0  # without an answer
MAX_ASKING_SECONDS = 1.0  # from one question to the next one
ASKING_SHARE = 0.1  # the same, of the seconds after which a process hangs
LATE_SHARE = 0.25  # of these: it gets no new connections


@dataclass
class Pulse:
    """Of one process: whether a question is open, and for how long."""

    is_asked: bool = False
    silent_seconds: float = 0.0
    is_late: bool = False

    def answered(self) -> None:
        """The process has answered."""
        self.is_asked, self.silent_seconds, self.is_late = False, 0.0, False


class Asked(Protocol):
    """A process that is asked."""

    channel: Channel | None
    pulse: Pulse


Process = TypeVar("Process", bound=Asked)


class Heartbeat(Generic[Process]):
    """Asks all processes again and again."""

    def __init__(
        self,
        hang_seconds: float,
        processes: Callable[[], Iterable[Process]],
        on_late: Callable[[], None],
        on_hang: Callable[[Process], None],
    ) -> None:
        """
        Args:
            processes: those that are asked.
            on_late: some process is late now.
            on_hang: called for a process that hangs, which is not asked again.
        """
        self._hang_seconds, self._processes = hang_seconds, processes
        self._on_late, self._on_hang = on_late, on_hang
        self._asking_seconds = min(MAX_ASKING_SECONDS, ASKING_SHARE * hang_seconds)

    async def run(self) -> None:
        """Ask until it is cancelled."""
        while True:
            for process in self._processes():
                if process.channel and not process.pulse.is_asked:
                    process.pulse.is_asked = True
                    process.channel.send("ping")
            asked = time.monotonic()
            await asyncio.sleep(self._asking_seconds)
            # Longer if this process was stopped, probably the others as well.
            self._note(min(time.monotonic() - asked, 2 * self._asking_seconds))

    def _note(self, seconds: float) -> None:
        silent = [process for process in self._processes() if process.pulse.is_asked]
        become_late = False
        for process in silent:
            pulse = process.pulse
            pulse.silent_seconds += seconds
            is_late = pulse.silent_seconds >= LATE_SHARE * self._hang_seconds
            become_late |= is_late and not pulse.is_late
            pulse.is_late = is_late
        if become_late:
            self._on_late()
        # One at a time: the others may wait for a lock that it holds.
        worst = max(silent, key=lambda process: process.pulse.silent_seconds, default=None)
        if worst and worst.pulse.silent_seconds >= self._hang_seconds:
            self._on_hang(worst)
