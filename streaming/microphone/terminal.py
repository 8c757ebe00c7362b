"""Live captions on a terminal: finals stay, a view of a few lines below them changes.

The cursor rests at the view's first character between two drawings. A terminal that is resized
keeps the cursor at its character, whether it wraps long lines anew or cuts them, so erasing from
there to the end of the screen removes the whole view and nothing else.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from rich.console import Console
from rich.text import Text

from streaming.events import Event, Final

METER_CELLS = 8
PARTIAL_LINES = 2
QUIETEST_DB, LOUDEST_DB = -60.0, 0.0
DRAWN_EVERY_SECONDS = 1 / 12
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ERASE_VIEW = "\r\x1b[J"
# Without automatic wrapping a line never takes two rows, even if the terminal becomes narrower
# while the line is written.
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"


class TerminalCaptions:
    """Finals stay; below them are the level, the last two lines of the current partial and a hint.
    Lines break between words."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._partial, self._decibels = "", QUIETEST_DB
        self._hint: str | None = None
        self._drawn: object = None  # the size of the terminal and the view that it shows
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._write(HIDE_CURSOR)
        self._draw()
        # Follows the level and the size of the terminal while the recogniser works.
        self._drawing = threading.Thread(target=self._keep_drawn, daemon=True)
        self._drawing.start()

    def show(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Final):
                self._partial = ""
                if event.words:
                    self._print(Text(event.formatted))
            else:
                self._partial = event.text
            self._draw()

    def level(self, decibels: float) -> None:
        self._decibels = decibels

    def notice(self, text: str) -> None:
        with self._lock:
            self._print(Text(f"[{text}]", "yellow"))
            self._draw()

    def hint(self, text: str | None) -> None:
        with self._lock:
            self._hint = text
            self._draw()

    def close(self) -> None:
        self._closed.set()
        self._drawing.join()
        self._write(ERASE_VIEW + SHOW_CURSOR)

    def _keep_drawn(self) -> None:
        while not self._closed.wait(DRAWN_EVERY_SECONDS):
            try:
                self._draw()
            except (OSError, ValueError):  # the terminal is gone; the other thread reports it
                return

    def _print(self, text: Text) -> None:
        """Print above the view."""
        self._write(ERASE_VIEW + self._characters(text) + "\n")
        self._drawn = None

    def _draw(self) -> None:
        """Draw the view, if it or the size of the terminal has changed."""
        with self._lock:
            width, height = self._console.size
            lines = self._view()[:height]
            if self._closed.is_set() or self._drawn == (width, height, lines):
                return
            self._drawn = width, height, lines
            up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
            # The width may have changed since the lines were made.
            how = {"no_wrap": True, "overflow": "ignore", "crop": False}
            text = "\n".join(self._characters(line, **how) for line in lines)
            self._write(f"{ERASE_VIEW}{NO_WRAP}{text}{WRAP}{up}\r")

    def _view(self) -> list[Text]:
        """The lines below the finals. The last column is free: some terminals wrap there."""
        width = self._console.width - 1
        meter = level_meter(self._decibels)
        room = width - len(meter) - 1
        words = self._wrapped(Text(self._partial, "dim"), room)[-PARTIAL_LINES:] or [Text()]
        starts = [Text(meter, "green"), *(Text(" " * len(meter)) for _ in words[1:])]
        lines = [Text.assemble(start, " ", line) for start, line in zip(starts, words, strict=True)]
        return lines + self._wrapped(Text(self._hint or "", "yellow"), width)

    def _wrapped(self, text: Text, width: int) -> list[Text]:
        if not text or width < 1:
            return []
        lines = list(text.wrap(self._console, width))
        for line in lines:
            line.rstrip()
        return lines

    def _characters(self, text: Text, **how: Any) -> str:
        with self._console.capture() as characters:
            self._console.print(text, end="", **how)
        return characters.get()

    def _write(self, characters: str) -> None:
        self._console.file.write(characters)
        self._console.file.flush()


def is_drawable() -> bool:
    """Whether standard output is a terminal that obeys control sequences."""
    console = Console()
    return sys.stdout.isatty() and not console.is_dumb_terminal and not console.legacy_windows


def level_meter(decibels: float) -> str:
    """A bar of eight cells, -60 to 0 dB."""
    share = (decibels - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)
    full = round(METER_CELLS * min(1.0, max(0.0, share)))
    return "▮" * full + "▯" * (METER_CELLS - full)
