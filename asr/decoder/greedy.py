"""Greedy CTC decoding of letters, without a lexicon or a language model.

asr/decoder/types.py has the interface of decoders. asr/decoder/beam.py is the other decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np

from asr.acoustic.types import Emitted
from asr.decoder.types import BLANK_ID, Clock, Gap, check_emission, words_until
from asr.text.alphabet import LETTER_TOKENS, WORD_BOUNDARY
from asr.transcript import Alternative, Word


class GreedyDecoder:
    """Takes the best letter of every step."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def start(self, history: Sequence[str] = ()) -> GreedyDecoding:
        """The decoding of a new utterance. Letters do not depend on the words before them."""
        return GreedyDecoding(self.clock)


class GreedyDecoding:
    """The letters of one utterance."""

    def __init__(self, clock: Clock) -> None:
        self.steps = 0
        self._clock = clock
        self._best: list[np.ndarray] = []
        self._probability: list[np.ndarray] = []

    def push(self, emission: Emitted) -> None:
        """Process more steps: [1, steps, tokens]."""
        check_emission(emission)
        best = emission.letters[0].argmax(-1)
        self._best.append(best)
        self._probability.append(np.exp(emission.letters[0].max(-1)))
        self.steps += len(best)

    def words(self, finished: bool = False) -> list[Word]:
        """The words so far: the letters between two word boundaries are a word."""
        if not self._best:
            return []
        best, probability = np.concatenate(self._best), np.concatenate(self._probability)
        return [
            Word(
                "".join(letter for letter, _, _ in word),
                *self._clock.span(word[0][1], word[-1][2]),
                float(np.mean([probability[start:end].max() for _, start, end in word])),
            )
            for word in _spelled(best)
        ]

    def gaps(self) -> list[Gap]:
        """The gaps between words, in order: the best letter of a step never changes."""
        spelled = _spelled(np.concatenate(self._best)) if self._best else []
        return [Gap(word[-1][2], after[0][1]) for word, after in pairwise(spelled)]

    def words_before(self, step: int) -> list[Word]:
        """The words before a step of a gap."""
        return words_until(self.words(), self._clock.seconds(step))

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The only hypothesis of greedy decoding."""
        words = self.words()
        texts = tuple(word.word for word in words)
        score = float(np.log(np.concatenate([*self._probability, np.ones(0)])).sum())
        return (Alternative(texts, score, tuple((word.start, word.end) for word in words)),)


def _spelled(best: np.ndarray) -> list[list[tuple[str, int, int]]]:
    """The letters of each word: letter, first step, end step."""
    spelled: list[list[tuple[str, int, int]]] = [[]]
    step = 0
    for token, group in groupby(best.tolist()):
        count = len(list(group))
        if LETTER_TOKENS[token] == WORD_BOUNDARY:
            spelled.append([])
        elif token != BLANK_ID:
            spelled[-1].append((LETTER_TOKENS[token], step, step + count))
        step += count
    return [word for word in spelled if word]
