"""Whether there was speech where words were heard. Pure.

A beam search finds words in whatever it is given, in the noise of a fan too. The network knows
better: in speech it is mostly sure of one phone, in noise and music it spreads its belief over
many. So each word is judged by how sure the network was of its phones around it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from asr.acoustic.types import Emitted
from asr.decoder.types import BLANK_ID
from asr.transcript import Word

SPEECH_PROBABILITY = 0.5  # a step counts as speech when blank has less than the rest of this
AROUND_SECONDS = 3.0  # before and after a word that its judgement looks
FEWEST_STEPS = 5  # of speech: what rests on fewer is judged as if the others spoke against it


def speech_probability(emission: Emitted) -> np.ndarray:
    """Of each step the probability of its likeliest phone, 0 where it is no speech: [steps]."""
    probability = np.exp(emission.phones[0])
    speech = probability[:, BLANK_ID] < SPEECH_PROBABILITY
    probability[:, BLANK_ID] = 0
    return np.where(speech, probability.max(axis=1, initial=0), 0.0)


def likely_words(
    words: Iterable[Word], sure: np.ndarray, step_seconds: float, least: float
) -> list[Word]:
    """The words around which the steps of speech have a mean sureness of `least` or more.

    Args:
        words: with times since the first step.
        sure: [steps], as of `sureness`.
    """
    sums, counts = np.cumsum([sure, sure > 0], axis=1).tolist()
    sums, counts = [0.0, *sums], [0.0, *counts]
    kept = []
    for word in words:
        start = max(0, round((word.start - AROUND_SECONDS) / step_seconds))
        end = min(len(sure), round((word.end + AROUND_SECONDS) / step_seconds))
        steps = max(counts[end] - counts[start], FEWEST_STEPS)
        if sums[end] - sums[start] >= least * steps:
            kept.append(word)
    return kept
