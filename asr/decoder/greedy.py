"""Emissions to words: what every decoder does, and greedy CTC (asr/decoder/beam.py has the other).

A decoder reads emissions in pieces and gives the same result for any way of cutting them. A
decoding goes on from one endpoint to the next: `begin` gives a `Decoding`, `push` hears more steps,
`words` tells what was said so far.
"""

from __future__ import annotations

from itertools import groupby
from typing import Protocol

import numpy as np

from asr.acoustic.types import Emitted
from asr.errors import ModelError
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS, WORD_BOUNDARY
from asr.transcript import Alternative, Word

BLANK_ID = 0
MOST_LOG = 100.0  # of a probability 0 is; other measures that are nearly one pass too


class Decoding(Protocol):
    """One utterance being decoded."""

    steps: int

    def push(self, emission: Emitted) -> None:
        """Hear more steps: [1, steps, tokens] each."""

    def words(self, finished: bool = False) -> list[Word]:
        """What was said so far; `finished` when no more steps come: nothing can be pushed then."""

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The likeliest readings of all that was pushed, the best first: nothing can be pushed
        then."""


class Decoder(Protocol):
    """Starts decodings; holds what they share."""

    def begin(self) -> Decoding:
        """A decoding of a new utterance, at step 0."""


def check_emission(emission: Emitted) -> None:
    """Checks what a decoder is to hear: [1, steps, tokens] each of float32, as many steps of both,
    and logarithms of probabilities; -inf is one.

    Raises:
        ModelError: it cannot be decoded.
    """
    for name, tokens in (("phones", PHONE_TOKENS), ("letters", LETTER_TOKENS)):
        part = getattr(emission, name)
        steps = emission.phones.shape[1:2]
        if part.dtype != np.float32 or part.shape != (1, *steps, len(tokens)):
            raise ModelError(
                f"{name} of {part.dtype} {list(part.shape)}; expected float32 [1, steps, "
                f"{len(tokens)}], as many steps as of the phones"
            )
        if part.size and not part.max() <= MOST_LOG:  # NaN is not
            raise ModelError(
                f"the network tells {name} whose log-probability is {part.max()}: its weights are "
                "damaged, or what it was given"
            )


def decode(decoder: Decoder, emission: Emitted) -> list[Word]:
    """The words of a whole utterance."""
    decoding = decoder.begin()
    decoding.push(emission)
    return decoding.words(finished=True)


class GreedyDecoder:
    """The best letter of every step: no lexicon, no language model."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def begin(self) -> GreedyDecoding:
        """A decoding of a new utterance."""
        return GreedyDecoding(self.clock)


class GreedyDecoding:
    """Letters collected so far."""

    def __init__(self, clock: Clock) -> None:
        self.steps = 0
        self._clock = clock
        self._best: list[np.ndarray] = []
        self._probability: list[np.ndarray] = []

    def push(self, emission: Emitted) -> None:
        """Hear more steps."""
        check_emission(emission)
        best = emission.letters[0].argmax(-1)
        self._best.append(best)
        self._probability.append(np.exp(emission.letters[0].max(-1)))
        self.steps += len(best)

    def words(self, finished: bool = False) -> list[Word]:
        """The letters between two word boundaries are a word."""
        if not self._best:
            return []
        best, probability = np.concatenate(self._best), np.concatenate(self._probability)
        spelled: list[list[tuple[str, int, int]]] = [[]]
        step = 0
        for token, group in groupby(best.tolist()):
            count = len(list(group))
            if LETTER_TOKENS[token] == WORD_BOUNDARY:
                spelled.append([])
            elif token != BLANK_ID:
                spelled[-1].append((LETTER_TOKENS[token], step, step + count))
            step += count
        return [
            Word(
                "".join(letter for letter, _, _ in word),
                *self._clock.span(word[0][1], word[-1][2]),
                float(np.mean([probability[begin:end].max() for _, begin, end in word])),
            )
            for word in spelled
            if word
        ]

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """Greedy decoding knows one reading alone."""
        texts = tuple(word.word for word in self.words())
        score = float(np.log(np.concatenate([*self._probability, np.ones(0)])).sum())
        return (Alternative(texts, score),)


class Clock:
    """Steps of an utterance to seconds."""

    def __init__(self, step_seconds: float, delay_steps: int) -> None:
        self.step_seconds, self.delay_steps = step_seconds, delay_steps

    def span(self, first_step: int, end_step: int) -> tuple[float, float]:
        """Start and end in seconds of what was told from the first step on, before the end step."""
        start = max(0.0, (first_step - self.delay_steps) * self.step_seconds)
        end = max(start, (end_step - self.delay_steps) * self.step_seconds)
        return start, max(end, start + self.step_seconds)
