"""How events are shown: as plain lines in a pipe, or as JSON; on a terminal:
streaming/microphone/terminal.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from asr.formats.json_lines import alternative_records, word_record
from asr.text.casing import Case, alternatives_in_case, words_in_case
from asr.transcript import Word
from streaming.events import Event, Final


class Captions(Protocol):
    """The destination of events."""

    def show(self, event: Event) -> None:
        """Show a partial or a final."""

    def level(self, decibels: float) -> None:
        """Show the current level; 0 dB is full scale."""

    def notice(self, text: str) -> None:
        """Show a message to the user, such as dropped audio."""

    def hint(self, text: str | None) -> None:
        """Show a message as long as it is true; None withdraws it."""

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

    def hint(self, text: str | None) -> None:
        if text:
            self.notice(text)

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
        if event.cut_seconds is not None:
            record["cut_seconds"] = round(event.cut_seconds, 3)
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
        self.level, self.notice, self.hint = inner.level, inner.notice, inner.hint
        self.close = inner.close

    def show(self, event: Event) -> None:
        event = replace(event, words=words_in_case(event.words, self._case))
        if isinstance(event, Final):
            event = replace(
                event,
                alternatives=alternatives_in_case(event.alternatives, self._case),
                written=words_in_case(event.written, self._case) if self._written else (),
            )
        self._inner.show(event)
