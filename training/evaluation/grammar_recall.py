"""How well a closed vocabulary hears its phrases: `rill words measure-grammar`.

Utterances of a corpus are taken in groups; the transcripts of a group are the phrases of a grammar.
Each utterance is heard with the grammar of its own group, where it should give its phrase, and with
that of the group before, where it should give none. The network runs once.
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
from training.data.corpora import find_corpus
from training.evaluation.decoder_tuning import Spoken, hear


@dataclass(frozen=True)
class GrammarRecall:
    """Of phrases that were said, and of speech in which none was: utterances."""

    said: int
    heard: int  # the right phrase and no other
    missed: int  # no phrase
    strange: int  # utterances heard with a grammar that has no phrase of theirs
    made_up: int  # of these, those in which a phrase was heard

    def lines(self) -> list[str]:
        """For people."""
        others = self.said - self.heard - self.missed
        return [
            f"{self.said} phrases said: {_share(self.heard, self.said)} heard, "
            f"{_share(self.missed, self.said)} missed, "
            f"{_share(others, self.said)} taken for others",
            f"{self.strange} utterances without one: a phrase heard in "
            f"{_share(self.made_up, self.strange)}",
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
    """Measure grammars made of a corpus' own transcripts, and report it.

    Args:
        phrases: in a grammar.
        max_words: longer utterances are left out.
        cost: of what is in no phrase, as in `asr.decoder.grammar`.
        every: take every so many-th utterance.

    Raises:
        ConfigError: the recogniser has no lexicon to pronounce the phrases.
        DataError: too few utterances for two grammars.
    """
    if not isinstance(recognizer.decoder, BeamDecoder):
        raise ConfigError("the greedy decoder has no lexicon for the phrases; use beam")
    lexicon, clock = recognizer.decoder.lexicon, recognizer.decoder.clock
    spoken = [
        one
        for one in hear(recognizer, find_corpus(corpus).utterances[::every], mode)
        if 0 < len(one.reference.split()) <= max_words
    ]
    if len(spoken) <= phrases:
        raise DataError(
            f"{corpus}: {len(spoken)} utterances of at most {max_words} words; two grammars of "
            f"{phrases} phrases need more"
        )
    groups = [spoken[start : start + phrases] for start in range(0, len(spoken), phrases)]
    decoders = []
    for group in groups:
        references = dict.fromkeys(one.reference for one in group)
        grammar = read_grammar(references, lexicon, recognizer.g2p)
        decoders.append(GrammarDecoder(grammar, clock, cost=cost))
    said = heard = missed = strange = made_up = 0
    for group, decoder, strangers in zip(groups, decoders, [*groups[1:], groups[0]]):
        for one in group:
            told = _phrases(decoder, one)
            said += 1
            heard += told == one.reference
            missed += not told
        own = {one.reference for one in group}
        for one in strangers:
            if one.reference not in own:
                strange += 1
                made_up += bool(_phrases(decoder, one))
    recall = GrammarRecall(said, heard, missed, strange, made_up)
    for line in recall.lines():
        report(line)
    return recall


def _phrases(decoder: Decoder, one: Spoken) -> str:
    """What was heard, but for what fitted no phrase."""
    words = (word.word for word in decode(decoder, one.emission))
    return " ".join(word for word in words if word != UNKNOWN)


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)"
