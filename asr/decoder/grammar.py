"""Closed vocabulary: recognition of the phrases of a grammar, and of nothing else.

A grammar is a file of phrases, one a line, in the format of custom words
(asr/lexicon/custom_words.py):

    turn on the light
    turn off the light
    rill  R IH L

A phrase is one entry of the trie, so it is recognised whole or not at all. Beside the phrases the
trie has a filler: each single phone, at a cost. Speech that fits no phrase becomes filler, which
is reported as `[unknown]` (filler model: Rose and Paul 1990, "A hidden Markov model based keyword
recognition system").
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from asr.acoustic.types import Emitted
from asr.decoder.beam import BeamDecoding
from asr.decoder.search.settings import BeamSettings
from asr.decoder.search.vocabulary import SearchWords, phrase_trie
from asr.decoder.types import Clock, Decoding, Gap, words_until
from asr.errors import ConfigError
from asr.language_model._score_cache import ScoreCache
from asr.lexicon.custom_words import CustomWord, custom_words
from asr.lexicon.lexicon import Lexicon
from asr.text.alphabet import PHONES
from asr.transcript import Alternative, Word

UNKNOWN = "[unknown]"
# Natural logarithm, of a filler phone and of a whole phrase alike. A smaller cost gives fewer false
# alarms and more misses.
FILLER_COST = 2.0
BEAM_THRESHOLD = 20.0  # wider than the lexicon's: an unclear phrase must survive to its end
MIN_UNKNOWN_PHONES = 2  # a single phone is more often a noise


def read_grammar(
    lines: Iterable[str] | os.PathLike[str], lexicon: Lexicon, g2p: Path | None
) -> list[CustomWord]:
    """The phrases of a grammar, from its file or its lines.

    Raises:
        ConfigError: as `custom_words`; a phrase has a boost; or there is no phrase.
    """
    phrases = custom_words(lines, lexicon, g2p)
    if not phrases:
        raise ConfigError("a grammar with no phrases")
    if boosted := [phrase.text for phrase in phrases if phrase.boost]:
        raise ConfigError(f"phrase '{boosted[0]}': the phrases of a grammar take no boost")
    return phrases


class GrammarDecoder:
    """Beam search over the phrases of a grammar and the filler."""

    def __init__(
        self,
        phrases: Sequence[CustomWord],
        clock: Clock,
        settings: BeamSettings = BeamSettings(),
        cost: float = FILLER_COST,
    ) -> None:
        """Builds the trie of the phrases.

        Args:
            settings: of the beam. Its `lm_weight` and `word_score` are ignored.
            cost: of a filler phone and of a phrase.
        """
        self.clock = clock
        self.settings = replace(
            settings,
            lm_weight=0.0,
            word_score=-cost,
            beam_threshold=BEAM_THRESHOLD,
            token_margin=math.inf,
        )
        filler = CustomWord((UNKNOWN,), tuple(((phone,),) for phone in PHONES))
        numbered = dict(enumerate([filler, *phrases]))
        trie = phrase_trie(numbered, [0.0] * len(numbered))
        self.words = SearchWords(_NoLanguageModel(), [], trie, numbered, filler=0)

    def start(self, history: Sequence[str] = ()) -> Decoding:
        """The decoding of a new utterance. The trie is shared. Each phrase is as likely after any
        words."""
        beam = BeamDecoding(self.words, self.clock, self.settings)
        return GrammarDecoding(beam, self.settings.beam, self.clock)


class GrammarDecoding:
    """The beam of one utterance."""

    def __init__(self, beam: BeamDecoding, beam_size: int, clock: Clock) -> None:
        self.steps = 0
        self._beam, self._beam_size, self._clock = beam, beam_size, clock

    def push(self, emission: Emitted) -> None:
        """Process more steps: [1, steps, tokens]."""
        self._beam.push(emission)
        self.steps = self._beam.steps

    def words(self, finished: bool = False) -> list[Word]:
        """The words of the phrases so far, and [unknown] for speech that fits none."""
        found: list[Word] = []
        for text, group in groupby(self._beam.words(finished), key=lambda word: word.word):
            same = list(group)
            if text != UNKNOWN:
                found += same
            elif len(same) >= MIN_UNKNOWN_PHONES:
                confidence = min(word.confidence for word in same)
                found.append(Word(UNKNOWN, same[0].start, same[-1].end, confidence))
        return found

    def gaps(self) -> list[Gap]:
        """The gaps before and after phrases that no later step changes, in order."""
        return self._beam.gaps()

    def words_before(self, step: int) -> list[Word]:
        """The words before a step of a gap. No step can be pushed after this."""
        return words_until(self.words(finished=True), self._clock.seconds(step))

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The n-best hypotheses, the best first. No step can be pushed after this."""
        best: dict[tuple[str, ...], Alternative] = {}
        for alternative in self._beam.alternatives(self._beam_size):
            merged = _with_whole_unknowns(alternative)
            best.setdefault(merged.words, merged)
        return tuple(best.values())[:count]


def _with_whole_unknowns(alternative: Alternative) -> Alternative:
    """Filler phones that follow one another as one word."""
    spoken = zip(alternative.words, alternative.times)
    words: list[str] = []
    times: list[tuple[float, float]] = []
    for text, group in groupby(spoken, key=lambda pair: pair[0]):
        spans = [span for _, span in group]
        if text != UNKNOWN:
            words += [text] * len(spans)
            times += spans
        elif len(spans) >= MIN_UNKNOWN_PHONES:
            words.append(UNKNOWN)
            times.append((spans[0][0], spans[-1][1]))
    return replace(alternative, words=tuple(words), times=tuple(times))


class _NoLanguageModel:
    """A language model in which every phrase is as likely after any other."""

    def start(self) -> int:
        return 0

    def null_context(self) -> int:
        return 0

    def score(self, state: int, number: int) -> tuple[int, float]:
        return 0, 0.0

    def end(self, state: int) -> float:
        return 0.0

    def score_cache(self) -> ScoreCache:
        return ScoreCache(self)
