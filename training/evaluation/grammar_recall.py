"""Recall and false alarms of grammars: `rill words measure-grammar`.

The utterances of a corpus are divided into groups; the transcripts of a group are the phrases of a
grammar. Each utterance is decoded with the grammar of its own group, which should give its phrase,
and with that of the previous group, which should give none. The network runs once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr.acoustic.types import Mode
from asr.decoder.beam import BeamDecoder
from asr.decoder.grammar import FILLER_COST, UNKNOWN, GrammarDecoder, read_grammar
from asr.decoder.types import Decoder, decode
from asr.errors import ConfigError, DataError
from asr.recognizer import Recognizer
from training.corpora.corpus import find_corpus
from training.evaluation.decoder_tuning import EmittedUtterance, emissions_of


@dataclass(frozen=True)
class GrammarRecall:
    """Counts of utterances with a phrase of the grammar, and without one."""

    said: int  # utterances that are a phrase
    recognised: int  # of these: the right phrase and no other
    missed: int  # of these: no phrase
    other_speech: int  # utterances that are no phrase
    false_alarms: int  # of these: a phrase was recognised

    def lines(self) -> list[str]:
        """For people."""
        confused = self.said - self.recognised - self.missed
        return [
            f"{self.said} phrases said: {_share(self.recognised, self.said)} recognised, "
            f"{_share(self.missed, self.said)} missed, "
            f"{_share(confused, self.said)} confused",
            f"{self.other_speech} utterances without a phrase: false alarms in "
            f"{_share(self.false_alarms, self.other_speech)}",
        ]


def measure_grammar(
    recognizer: Recognizer,
    corpus: str | Path,
    mode: Mode,
    phrases: int = 50,
    max_words: int = 10,
    cost: float = FILLER_COST,
    every: int = 1,
    report: Callable[[str], None] = print,
) -> GrammarRecall:
    """Measure grammars made of a corpus' own transcripts, and report the result.

    Args:
        phrases: in each grammar.
        max_words: longer utterances are left out.
        cost: of sound outside the phrases, as in `asr.decoder.grammar`.
        every: take every N-th utterance.

    Raises:
        ConfigError: the recogniser has no lexicon to pronounce the phrases.
        DataError: too few utterances for two grammars.
    """
    if not isinstance(recognizer.decoder, BeamDecoder):
        raise ConfigError("the greedy decoder has no lexicon for the phrases; use beam")
    lexicon, clock = recognizer.decoder.lexicon, recognizer.decoder.clock
    emitted = [
        one
        for one in emissions_of(recognizer, find_corpus(corpus).utterances[::every], mode)
        if 0 < len(one.reference.split()) <= max_words
    ]
    if len(emitted) <= phrases:
        raise DataError(
            f"{corpus}: {len(emitted)} utterances of at most {max_words} words; two grammars of "
            f"{phrases} phrases need more"
        )
    groups = [emitted[start : start + phrases] for start in range(0, len(emitted), phrases)]
    decoders = []
    for group in groups:
        references = dict.fromkeys(one.reference for one in group)
        grammar = read_grammar(references, lexicon, recognizer.g2p)
        decoders.append(GrammarDecoder(grammar, clock, cost=cost))
    said = recognised = missed = other_speech = false_alarms = 0
    for group, decoder, others in zip(groups, decoders, [*groups[1:], groups[0]]):
        for one in group:
            phrase = _phrases(decoder, one)
            said += 1
            recognised += phrase == one.reference
            missed += not phrase
        own = {one.reference for one in group}
        for one in others:
            if one.reference not in own:
                other_speech += 1
                false_alarms += bool(_phrases(decoder, one))
    recall = GrammarRecall(said, recognised, missed, other_speech, false_alarms)
    for line in recall.lines():
        report(line)
    return recall


def _phrases(decoder: Decoder, one: EmittedUtterance) -> str:
    """The recognised words, without those outside the phrases."""
    words = (word.word for word in decode(decoder, one.emission))
    return " ".join(word for word in words if word != UNKNOWN)


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)"
