"""The interface of decoders, the check of their input, and the clock of words.

A decoder processes emissions in pieces and gives the same words for any way of cutting them. It has
one `Decoding` for each utterance: `push` processes steps, `words` returns the words so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from asr.acoustic.types import Emitted
from asr.errors import ModelError
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS
from asr.transcript import Alternative, Word

BLANK_ID = 0
# Of a log-probability. Its true limit is 0; emissions that are not quite normalised pass too.
MAX_LOG = 100.0
TIME_TOLERANCE_SECONDS = 1e-6  # multiples of a step are not exact in binary


class Gap(NamedTuple):
    """The steps between two words: from the end of one to the start of the next."""

    start: int
    end: int


class Decoding(Protocol):
    """The decoding of one utterance."""

    steps: int

    def push(self, emission: Emitted) -> None:
        """Process more steps: [1, steps, tokens]."""

    def words(self, finished: bool = False) -> list[Word]:
        """The words of the best hypothesis.

        Args:
            finished: the utterance has ended. No step can be pushed after this.
        """

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """The n-best hypotheses of all steps, the best first. No step can be pushed after this."""

    def gaps(self) -> list[Gap]:
        """The gaps between words that no later step changes, in order."""

    def words_before(self, step: int) -> list[Word]:
        """The words before a step of a gap. No step can be pushed after this."""


class Decoder(Protocol):
    """Starts decodings and holds what they share."""

    clock: Clock

    def start(self, history: Sequence[str] = ()) -> Decoding:
        """The decoding of a new utterance, at step 0.

        Args:
            history: the words before it, if it goes on with their sentence.
        """


def check_emission(emission: Emitted) -> None:
    """Checks a decoder's input: phones and letters, float32 [1, steps, tokens] each, with the same
    number of steps, of log-probabilities. -inf is one.

    Raises:
        ModelError: a shape, type or value is wrong.
    """
    for name, tokens in (("phones", PHONE_TOKENS), ("letters", LETTER_TOKENS)):
        part = getattr(emission, name)
        steps = emission.phones.shape[1:2]
        if part.dtype != np.float32 or part.shape != (1, *steps, len(tokens)):
            raise ModelError(
                f"{name} of {part.dtype} {list(part.shape)}; expected float32 [1, steps, "
                f"{len(tokens)}], as many steps as of the phones"
            )
        if part.size and not part.max() <= MAX_LOG:  # True for NaN
            raise ModelError(
                f"the network emits {name} with a log-probability of {part.max()}: its weights or "
                "its input are damaged"
            )


def decode(decoder: Decoder, emission: Emitted) -> list[Word]:
    """The words of a whole utterance."""
    decoding = decoder.start()
    decoding.push(emission)
    return decoding.words(finished=True)


def words_until(words: Iterable[Word], seconds: float) -> list[Word]:
    """The words that start before a time."""
    return [word for word in words if word.start < seconds - TIME_TOLERANCE_SECONDS]


class Clock:
    """Converts the steps of an utterance to seconds."""

    def __init__(self, step_seconds: float, delay_steps: int) -> None:
        self.step_seconds, self.delay_steps = step_seconds, delay_steps

    def span(self, first_step: int, end_step: int) -> tuple[float, float]:
        """Start and end in seconds of the steps from the first up to the end step, less the delay
        of the acoustic model."""
        start = max(0.0, (first_step - self.delay_steps) * self.step_seconds)
        end = max(start, (end_step - self.delay_steps) * self.step_seconds)
        return start, max(end, start + self.step_seconds)

    def seconds(self, step: int) -> float:
        """The time of a step, less the delay of the acoustic model."""
        return max(0.0, (step - self.delay_steps) * self.step_seconds)
