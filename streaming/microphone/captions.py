"""How events are shown: on a terminal, as plain lines in a pipe, or as JSON."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from asr.formats.json_lines import alternative_records, word_record
from asr.text.casing import Case, alternatives_in_case, words_in_case
from asr.transcript import Word
from streaming.events import Event, Final

METER_CELLS = 8
PARTIAL_LINES = 2
QUIETEST_DB, LOUDEST_DB = -60.0, 0.0


class Captions(Protocol):
    """The destination of events."""

    def show(self, event: Event) -> None:
        """Show a partial or a final."""

    def level(self, decibels: float) -> None:
        """Show the current level; 0 dB is full scale."""

    def notice(self, text: str) -> None:
        """Show a message to the user, such as dropped audio."""

    def close(self) -> None:
        """End the output."""


class PlainCaptions:
    """One line for each utterance that ended; for pipes and files."""

    def show(self, event: Event) -> None:
        if isinstance(event, Final) and event.words:
            print(event.formatted, flush=True)

    def level(self, decibels: float) -> None:
        pass

    def notice(self, text: str) -> None:
        print(f"rill: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class JsonCaptions(PlainCaptions):
    """One JSON object per line: type (partial or final), text, words with times and confidences."""

    def show(self, event: Event) -> None:
        print(json.dumps(event_record(event)), flush=True)


def event_record(event: Event) -> dict[str, Any]:
    """An event as a JSON object."""
    record: dict[str, Any] = {
        "type": "final" if isinstance(event, Final) else "partial",
        "text": event.text,
    }
    if isinstance(event, Final):
        record |= words_and_written(event.words, event.written)
        record["formatted"] = event.formatted
        record["revised"] = event.revised
        if event.alternatives:
            record["alternatives"] = alternative_records(event.alternatives)
    else:
        record["words"] = [word_record(word) for word in event.words]
    return record


def words_and_written(words: Sequence[Word], written: Sequence[Word]) -> dict[str, Any]:
    """The words as spoken, and the written tokens where these are not the same."""
    record: dict[str, Any] = {"words": [word_record(word) for word in words]}
    if written and tuple(written) != tuple(words):
        record["written"] = [word_record(word) for word in written]
    return record


class FormattedCaptions:
    """Gives words their case before they are shown, and takes the written form away from finals
    unless it is requested."""

    def __init__(self, inner: Captions, case: Case, written: bool) -> None:
        self._inner, self._case, self._written = inner, case, written
        self.level, self.notice, self.close = inner.level, inner.notice, inner.close

    def show(self, event: Event) -> None:
        event = replace(event, words=words_in_case(event.words, self._case))
        if isinstance(event, Final):
            event = replace(
                event,
                alternatives=alternatives_in_case(event.alternatives, self._case),
                written=words_in_case(event.written, self._case) if self._written else (),
            )
        self._inner.show(event)


class TerminalCaptions:
    """Finals stay; below them are the level and the last two lines of the current partial. Lines
    break between words."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._partial, self._decibels = "", QUIETEST_DB
        self._live = Live(
            get_renderable=self._view, console=self._console, transient=True, refresh_per_second=12
        )
        self._live.start()

    def show(self, event: Event) -> None:
        if isinstance(event, Final):
            self._partial = ""
            self._live.refresh()  # otherwise the old line is drawn again below the final
            if event.words:
                self._console.print(event.formatted, markup=False, emoji=False)
        else:
            self._partial = event.text
        self._live.refresh()

    def level(self, decibels: float) -> None:
        self._decibels = decibels

    def notice(self, text: str) -> None:
        self._console.print(f"[{text}]", markup=False, emoji=False, style="yellow")

    def close(self) -> None:
        self._partial = ""
        self._live.stop()

    def _view(self) -> Any:
        from rich.text import Text

        meter = level_meter(self._decibels)
        room = self._console.width - len(meter) - 2
        lines = textwrap.wrap(self._partial, room, break_on_hyphens=False) if room > 0 else []
        behind = ("\n" + " " * (len(meter) + 1)).join(lines[-PARTIAL_LINES:])
        return Text.assemble((meter, "green"), " ", (behind, "dim"), no_wrap=True)


def level_meter(decibels: float) -> str:
    """A bar of eight cells, -60 to 0 dB."""
    share = (decibels - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)
    full = round(METER_CELLS * min(1.0, max(0.0, share)))
    return "▮" * full + "▯" * (METER_CELLS - full)
