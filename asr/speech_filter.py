"""The speech filter: drops words that the decoder finds in noise and music. Pure computation.

A beam search returns words for any input, for the noise of a fan too. The network's output shows
the difference: in speech most steps have one phone of high probability, in noise and music the
probability is spread over many phones. The filter keeps a word when the speech probability has a
high enough mean over the speech steps around it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from asr.acoustic.types import Emitted
from asr.decoder.types import BLANK_ID
from asr.transcript import Word

MIN_SPEECH = 0.35  # words with a smaller mean are dropped; measured with the bundled model
MAX_BLANK_PROBABILITY = 0.5  # a step is a speech step when the blank token has less
AROUND_SECONDS = 3.0  # before and after a word: the window of the mean
MIN_SPEECH_STEPS = 5  # a window with fewer speech steps is padded with steps of probability 0


def speech_probability(emission: Emitted) -> np.ndarray:
    """The probability of the best phone of each step, 0 at steps without speech.

    Returns:
        float32 [steps].
    """
    probability = np.exp(emission.phones[0])
    speech = probability[:, BLANK_ID] < MAX_BLANK_PROBABILITY
    probability[:, BLANK_ID] = 0
    return np.where(speech, probability.max(axis=1, initial=0), 0.0)


class SpeechFilter:
    """The speech probabilities of one utterance as running sums, so that the mean over a window
    costs the same however long the utterance is."""

    def __init__(self, step_seconds: float, min_speech: float) -> None:
        """A filter of an utterance without steps.

        Args:
            min_speech: the mean speech probability, 0 to 1, below which a word is dropped.
        """
        self._step_seconds, self._min_speech = step_seconds, min_speech
        self._sums, self._counts = [0.0], [0]  # of the first n steps, and how many are speech

    def push(self, speech_probabilities: np.ndarray) -> None:
        """Add the next steps, float32 [steps] as `speech_probability` returns them."""
        # float32, one after another: the sums do not depend on how the steps are cut.
        sums = np.append(np.float32(self._sums[-1]), speech_probabilities)
        self._sums += np.cumsum(sums, dtype=np.float32)[1:].tolist()
        self._counts += (self._counts[-1] + np.cumsum(speech_probabilities > 0)).tolist()

    def likely_words(self, words: Iterable[Word]) -> list[Word]:
        """The words to keep, of words with times in seconds since the first step."""
        return [word for word in words if self._is_likely(word)]

    def _is_likely(self, word: Word) -> bool:
        start = max(0, round((word.start - AROUND_SECONDS) / self._step_seconds))
        end = round((word.end + AROUND_SECONDS) / self._step_seconds)
        end = min(len(self._sums) - 1, end)
        steps = max(self._counts[end] - self._counts[start], MIN_SPEECH_STEPS)
        return self._sums[end] - self._sums[start] >= self._min_speech * steps


def likely_words(
    words: Iterable[Word],
    speech_probabilities: np.ndarray,
    step_seconds: float,
    min_speech: float,
) -> list[Word]:
    """The words of a whole utterance that `SpeechFilter` keeps.

    Args:
        words: with times in seconds since the first step.
        speech_probabilities: float32 [steps], as `speech_probability` returns them.
    """
    speech_filter = SpeechFilter(step_seconds, min_speech)
    speech_filter.push(speech_probabilities)
    return speech_filter.likely_words(words)
