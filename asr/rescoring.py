"""The readings that a beam ends with, judged once more: by its n-gram model and an LSTM together.

After whatever was said, a word has a share of the probability that the LSTM gives it and the rest
of what the n-gram model does (linear interpolation, as of the first neural language models: Bengio
et al. 2003). A word that the LSTM does not know keeps what the n-gram model gives it, and so do
phrases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from asr.errors import ModelError
from asr.language_model import WordModel
from asr.lstm_language_model import LstmLanguageModel

LOG_10 = math.log(10)

Numbers = tuple[int, ...]  # of the words of a reading


class Rescorer:
    """An LSTM language model for the readings of a beam. Threads may share it."""

    def __init__(self, network: LstmLanguageModel, lexicon: Iterable[str]) -> None:
        """Raises ModelError when the network knows none of the lexicon's words."""
        if not any(network.knows(word) for word in lexicon):
            raise ModelError(f"{network.path}: knows none of the lexicon's words")
        self.network = network

    def gains(
        self,
        readings: Sequence[Numbers],
        spellings: Sequence[tuple[str, ...]],
        ngram_model: WordModel,
        share: float,
    ) -> list[float]:
        """How much likelier each reading is by both than by the n-gram model alone, as a logarithm
        to base 10: a word counts where it stands, and so does the end of the reading.

        Args:
            readings: numbers of words, as the beam found them.
            spellings: the words that each number stands for.
            ngram_model: of those numbers.
            share: of the LSTM, 0 to 1.
        """
        different = sorted(set(readings))  # so that the batch does not depend on their order
        texts = [tuple(w for number in one for w in spellings[number]) for one in different]
        by_lstm = self.network.log_probabilities(texts)
        by_ngrams = _ngram_log10(different, ngram_model)
        found = {}
        for reading, lstm, ngrams in zip(different, by_lstm, by_ngrams):
            ends = np.cumsum([len(spellings[number]) for number in reading], dtype=int) - 1
            both = np.array(ngrams)
            # Phrases are custom words: the n-gram model knows them as one.
            known = [
                len(spellings[number]) == 1 and self.network.knows(spellings[number][0])
                for number in reading
            ]
            places = np.flatnonzero([*known, True])
            of_lstm = lstm[np.append(ends, len(lstm) - 1)[places]] / LOG_10
            both[places] = mixed_log10(of_lstm, both[places], share)
            found[reading] = float((both - ngrams).sum())
        return [found[reading] for reading in readings]


def mixed_log10(of_lstm: np.ndarray, of_ngrams: np.ndarray, share: float) -> np.ndarray:
    """Of the mixture of two models' probabilities; all three as logarithms to base 10."""
    mixed: np.ndarray = np.log10(share * 10.0**of_lstm + (1 - share) * 10.0**of_ngrams)
    return mixed


def _ngram_log10(readings: Sequence[Numbers], model: WordModel) -> list[list[float]]:
    """Of each reading: each word's log10 probability, and the end's; what they begin with in common
    is looked up once."""
    heard: dict[Numbers, tuple[Any, float]] = {(): (model.begin(), 0.0)}
    found = []
    for reading in readings:
        logs = []
        state = heard[()][0]
        for length, number in enumerate(reading, start=1):
            so_far = reading[:length]
            if so_far not in heard:
                heard[so_far] = model.score(state, number)
            state, log10 = heard[so_far]
            logs.append(log10)
        found.append([*logs, model.end(state)])
    return found
