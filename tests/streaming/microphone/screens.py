"""Terminals for tests: a pseudo-terminal, and two kinds of screen behind it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from typing import Any

import pytest

pyte = pytest.importorskip("pyte")


class CuttingScreen(pyte.Screen):  # type: ignore[misc]
    """A screen that cuts lines when it becomes narrower, as xterm does."""


class WrappingScreen(pyte.Screen):  # type: ignore[misc]
    """A screen that wraps lines anew when its width changes, as most terminals do."""

    def erase_in_display(self, how: int = 0, *unused: Any, **private: Any) -> None:
        super().erase_in_display(how, *unused, **private)
        if how == 0:
            for y in range(self.cursor.y + bool(self.cursor.x), self.lines):
                self.buffer[y].continues = False

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        height, width = lines or self.lines, columns or self.columns
        used = max([self.cursor.y, *(y for y, text in enumerate(self.display) if text.strip())])
        whole: list[str] = []  # the lines as they were written
        at = 0, 0
        for y, text in enumerate(self.display[: used + 1]):
            continues = getattr(self.buffer[y], "continues", False)
            start = len(whole[-1]) if continues else 0
            if continues:
                whole[-1] += text.rstrip()
            else:
                whole.append(text.rstrip())
            if y == self.cursor.y:
                at = len(whole) - 1, start + self.cursor.x
        rows: list[tuple[str, bool]] = []
        for number, line in enumerate(whole):
            if number == at[0]:
                cursor_row, cursor_column = len(rows) + at[1] // width, at[1] % width
            pieces = [line[x : x + width] for x in range(0, len(line), width)] or [""]
            rows += [(piece, bool(x)) for x, piece in enumerate(pieces)]
        hidden = min(max(0, len(rows) - height), cursor_row)
        super().resize(height, width)
        self.reset()
        for y, (piece, continues) in enumerate(rows[hidden : hidden + height]):
            self.cursor_position(y + 1, 1)
            self.draw(piece)
            self.buffer[y].continues = continues
        self.cursor_position(cursor_row - hidden + 1, cursor_column + 1)


class Terminal:
    """A program on a pseudo-terminal, whose output a screen shows."""

    def __init__(
        self, command: list[str], screen: Any, environment: dict[str, str] | None = None
    ) -> None:
        self.screen, self._stream = screen, pyte.Stream(screen)
        self._master, slave = os.openpty()
        self._set_size()
        kept = {
            name: value
            for name, value in (environment or os.environ).items()
            if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI")
        }
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=slave,
            stderr=slave,
            text=True,
            env=kept | {"TERM": "xterm-256color"},
        )
        os.close(slave)

    def write(self, line: str) -> None:
        """A line of the program's standard input."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def resize(self, columns: int, lines: int | None = None) -> None:
        self.screen.resize(lines or self.screen.lines, columns)
        self._set_size()
        self.process.send_signal(signal.SIGWINCH)

    def settle(self, quiet_seconds: float = 0.3) -> list[str]:
        """The lines of the screen once nothing is written for a moment."""
        while select.select([self._master], [], [], quiet_seconds)[0]:
            if not self._read():
                break
        return self.lines

    def read_until(self, text: str, seconds: float, gone: bool = False) -> list[str]:
        """The lines of the screen once the text is there, or is gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self._master], [], [], 0.1)[0] and not self._read():
                break
            if (text in " ".join(" ".join(self.lines).split())) is not gone:
                return self.lines
        raise AssertionError(f"{text!r}, gone: {gone}\n" + "\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        lines = [line.rstrip() for line in self.screen.display]
        return lines[: max((y + 1 for y, line in enumerate(lines) if line), default=0)]

    def end(self) -> list[str]:
        """The screen after the program has ended."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)
        lines = self.settle()
        os.close(self._master)
        return lines

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the program has closed the terminal
            return False
        self._stream.feed(data.decode("utf-8", "replace"))
        return bool(data)

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
