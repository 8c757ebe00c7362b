"""Closed vocabulary: what is heard is one of the phrases of a grammar, again and again, or unknown.

A grammar is a file of phrases, one a line, in the form of custom words
(asr/lexicon/custom_words.py):

    turn on the light
    turn off the light
    rill  R IH L

A phrase is one entry of the trie, so it is heard whole or not at all. Beside the phrases stands the
outlet: each phone may also be a piece of something unknown, at a price, so that speech which fits
no phrase goes there (a filler model: Rose and Paul 1990, "A hidden Markov model based keyword
recognition system"). What went there is told as `[unknown]`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path

from asr.acoustic.types import Emitted
from asr.decoder.beam import BeamDecoding
from asr.decoder.settings import BeamSettings
from asr.decoder.types import Clock, Decoding
from asr.decoder.vocabulary import SearchWords, phrase_trie
from asr.errors import ConfigError
from asr.language_model._score_cache import ScoreCache
from asr.lexicon.custom_words import CustomWord, custom_words
from asr.lexicon.lexicon import Lexicon
from asr.text.alphabet import PHONES
from asr.transcript import Alternative, Word

UNKNOWN = "[unknown]"
# Natural logarithm, of a phone of the outlet and of a whole phrase alike. The less it is, the fewer
# phrases are heard where none was said, and the more are missed.
OUTLET_COST = 2.0
BEAM_THRESHOLD = 20.0  # wider than the lexicon's: a badly heard phrase must last to its end
SHORTEST_UNKNOWN = 2  # phones: a single one is rather a noise


def read_grammar(
    lines: Iterable[str] | os.PathLike[str], lexicon: Lexicon, g2p: Path | None
) -> list[CustomWord]:
    """The phrases of a grammar, from its file or its lines.

    Raises:
        ConfigError: as `custom_words`; a phrase with a boost; or no phrase at all.
    """
    phrases = custom_words(lines, lexicon, g2p)
    if not phrases:
        raise ConfigError("a grammar with no phrases")
    if boosted := [phrase.text for phrase in phrases if phrase.boost]:
        raise ConfigError(f"phrase '{boosted[0]}': the phrases of a grammar take no boost")
    return phrases


class GrammarDecoder:
    """Beam search over the phrases of a grammar and the outlet."""

    def __init__(
        self,
        phrases: Sequence[CustomWord],
        clock: Clock,
        settings: BeamSettings = BeamSettings(),
        cost: float = OUTLET_COST,
    ) -> None:
        """Builds the trie of the phrases.

        Args:
            settings: the language model's weight and the score of a word are left aside.
        """
        self.clock = clock
        self.settings = replace(
            settings,
            lm_weight=0.0,
            word_score=-cost,
            beam_threshold=BEAM_THRESHOLD,
            token_margin=math.inf,
        )
        outlet = CustomWord((UNKNOWN,), tuple(((phone,),) for phone in PHONES))
        numbered = dict(enumerate([outlet, *phrases]))
        trie = phrase_trie(numbered, [0.0] * len(numbered))
        self.words = SearchWords(_NoLanguageModel(), [], trie, numbered, filler=0)

    def start(self) -> Decoding:
        """A decoding of a new utterance; trie and scores are shared."""
        beam = BeamDecoding(self.words, self.clock, self.settings)
        return GrammarDecoding(beam, self.settings.beam)


class GrammarDecoding:
    """The beam of one utterance."""

    def __init__(self, beam: BeamDecoding, beam_size: int) -> None:
        self.steps = 0
        self._beam, self._beam_size = beam, beam_size

    def push(self, emission: Emitted) -> None:
        """Hear more steps."""
        self._beam.push(emission)
        self.steps = self._beam.steps

    def words(self, finished: bool = False) -> list[Word]:
        """Phrases heard so far, and [unknown] for a stretch that fits none."""
        found: list[Word] = []
        for text, group in groupby(self._beam.words(finished), key=lambda word: word.word):
            same = list(group)
            if text != UNKNOWN:
                found += same
            elif len(same) >= SHORTEST_UNKNOWN:
                sure = min(word.confidence for word in same)
                found.append(Word(UNKNOWN, same[0].start, same[-1].end, sure))
        return found

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The likeliest readings, the best first; nothing can be pushed after it."""
        best_of: dict[tuple[str, ...], float] = {}
        for one in self._beam.alternatives(self._beam_size):
            runs = [(text, list(group)) for text, group in groupby(one.words)]
            texts = chain.from_iterable(
                run if text != UNKNOWN else run[:1] if len(run) >= SHORTEST_UNKNOWN else []
                for text, run in runs
            )
            best_of.setdefault(tuple(texts), one.score)
        best = list(best_of.items())[:count]
        return tuple(Alternative(texts, score) for texts, score in best)


class _NoLanguageModel:
    """Nothing before a phrase tells anything of it."""

    def start(self) -> int:
        return 0

    def nothing(self) -> int:
        return 0

    def score(self, state: int, number: int) -> tuple[int, float]:
        return 0, 0.0

    def end(self, state: int) -> float:
        return 0.0

    def score_cache(self) -> ScoreCache:
        return ScoreCache(self)
