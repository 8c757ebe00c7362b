"""The events of a stream: `Partial` while an utterance runs, `Final` when it has ended."""

from __future__ import annotations

from dataclasses import dataclass

from asr.transcript import Alternative, Word


@dataclass(frozen=True)
class _Utterance:
    """What both events have."""

    words: tuple[Word, ...]  # times in seconds from the first sample of the stream

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(word.word for word in self.words)


@dataclass(frozen=True)
class Partial(_Utterance):
    """The words of the running utterance so far; later events may change them."""


@dataclass(frozen=True)
class Final(_Utterance):
    """The words of an utterance that has ended; they do not change. Empty without speech.

    `revised` is true when the last `Partial` had words that this event does not begin with.
    `alternatives` has as many hypotheses as the recogniser is configured for, best first.
    """

    revised: bool = False
    alternatives: tuple[Alternative, ...] = ()
    # The words as people write them (asr/text/written.py). Empty without words.
    written: tuple[Word, ...] = ()

    @property
    def formatted(self) -> str:
        """The written text, if there is one, else the words."""
        return " ".join(word.word for word in self.written or self.words)


Event = Partial | Final
"""Everything that `Stream.push` returns; `isinstance(event, Final)` tells which one it is."""
