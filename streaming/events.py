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
    """The words of the running utterance so far; later events may change them.

    `own_words` is how many of the first words are in this utterance wherever it is cut
    (streaming/cutting.py); those after them may start the next one.
    """

    own_words: int | None = None


@dataclass(frozen=True)
class Final(_Utterance):
    """The words of an utterance that has ended; they do not change. Empty without speech.

    `revised` is true when the last `Partial` had words that this event does not begin with. Words
    after a cut are the next utterance's and do not count.
    `alternatives` has as many hypotheses as the recogniser is configured for, best first.
    """

    revised: bool = False
    alternatives: tuple[Alternative, ...] = ()
    # The words as people write them (asr/text/written.py). Empty without words.
    written: tuple[Word, ...] = ()
    # Where speech without a pause was cut, in the time of the words; the next utterance starts
    # there. None for an utterance that ended otherwise.
    cut_seconds: float | None = None

    @property
    def formatted(self) -> str:
        """The written text, if there is one, else the words."""
        return " ".join(word.word for word in self.written or self.words)


Event = Partial | Final
"""Everything that `Stream.push` returns; `isinstance(event, Final)` tells which one it is."""
