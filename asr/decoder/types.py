"""What every decoder has in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from asr.acoustic.types import Emitted
from asr.errors import ModelError
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS
from asr.transcript import Alternative, Word

BLANK_ID = 0


MAX_LOG = 100.0  # of a probability 0 is; other measures that are nearly one pass too


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

    def start(self) -> Decoding:
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
        if part.size and not part.max() <= MAX_LOG:  # NaN is not
            raise ModelError(
                f"the network tells {name} whose log-probability is {part.max()}: its weights are "
                "damaged, or what it was given"
            )


def decode(decoder: Decoder, emission: Emitted) -> list[Word]:
    """The words of a whole utterance."""
    decoding = decoder.start()
    decoding.push(emission)
    return decoding.words(finished=True)


class Clock:
    """Steps of an utterance to seconds."""

    def __init__(self, step_seconds: float, delay_steps: int) -> None:
        self.step_seconds, self.delay_steps = step_seconds, delay_steps

    def span(self, first_step: int, end_step: int) -> tuple[float, float]:
        """Start and end in seconds of what was told from the first step on, before the end step."""
        start = max(0.0, (first_step - self.delay_steps) * self.step_seconds)
        end = max(start, (end_step - self.delay_steps) * self.step_seconds)
        return start, max(end, start + self.step_seconds)
