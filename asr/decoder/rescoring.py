"""The readings that a beam ends with, judged once more: by its n-gram model and an LSTM together.

After whatever was said, a word has a share of the probability that the LSTM gives it and the rest
of what the n-gram model does (linear interpolation, as of the first neural language models: Bengio
et al. 2003). A word that the LSTM does not know keeps what the n-gram model gives it, and so do
custom words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from asr.decoder.vocabulary import SearchWords
from asr.errors import ModelError
from asr.language_model.lstm import LstmLanguageModel
from asr.language_model.mixture import LOG_10, mixed_log10

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
        words: SearchWords,
        share: float,
    ) -> list[float]:
        """How much likelier each reading is by both than by the n-gram model alone, as a logarithm
        to base 10: a word counts where it stands, and so does the end of the reading.

        Args:
            readings: numbers of words, as the beam found them.
            words: what the numbers stand for, and the n-gram model.
            share: of the LSTM, 0 to 1.
        """
        different = sorted(set(readings))  # so that the batch does not depend on their order
        texts = [tuple(w for number in one for w in words.spelled(number)) for one in different]
        by_lstm = self.network.log_probabilities(texts)
        by_ngrams = _ngram_log10(different, words)
        found = {}
        for reading, lstm, ngrams in zip(different, by_lstm, by_ngrams):
            ends = np.cumsum([len(words.spelled(number)) for number in reading], dtype=int) - 1
            both = np.array(ngrams)
            # Custom words keep what they have wherever they stand.
            known = [
                number not in words.phrases and self.network.knows(words.vocabulary[number])
                for number in reading
            ]
            places = np.flatnonzero([*known, True])
            of_lstm = lstm[np.append(ends, len(lstm) - 1)[places]] / LOG_10
            both[places] = mixed_log10(of_lstm, both[places], share)
            found[reading] = float((both - ngrams).sum())
        return [found[reading] for reading in readings]


def _ngram_log10(readings: Sequence[Numbers], words: SearchWords) -> list[list[float]]:
    """Of each reading: each word's log10 probability, and the end's; what they begin with in common
    is looked up once. Custom words, which the model does not know, have 0."""
    score_cache = words.language_model.score_cache()
    nothing = score_cache.number(score_cache.nothing())
    heard = dict[Numbers, tuple[int, float]]({(): (0, 0.0)})  # context 0 is an utterance's begin
    found = []
    for reading in readings:
        logs = []
        state = heard[()][0]
        for length, number in enumerate(reading, start=1):
            so_far = reading[:length]
            if so_far not in heard:
                is_custom = number in words.phrases
                heard[so_far] = (nothing, 0.0) if is_custom else score_cache.score(state, number)
            state, log10 = heard[so_far]
            logs.append(log10)
        found.append([*logs, score_cache.end(state)])
    return found
