"""Rescoring of n-best hypotheses with an LSTM language model.

The probability of a word is the linear interpolation of the LSTM's and the n-gram model's (as in
Bengio et al. 2003). A word that the LSTM does not know keeps its n-gram probability, and so does a
custom word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from asr.decoder.search.vocabulary import SearchWords
from asr.errors import ModelError
from asr.language_model.lstm import LstmLanguageModel
from asr.language_model.mixture import LOG_10, mixed_log10

Numbers = tuple[int, ...]  # of the words of a hypothesis


class Rescorer:
    """Rescores hypotheses with an LSTM language model. Threads may share it."""

    def __init__(self, network: LstmLanguageModel, lexicon: Iterable[str]) -> None:
        """Raises ModelError if the network knows none of the lexicon's words."""
        if not any(network.knows(word) for word in lexicon):
            raise ModelError(f"{network.path}: knows none of the lexicon's words")
        self.network = network

    def gains(
        self,
        hypotheses: Sequence[Numbers],
        words: SearchWords,
        share: float,
    ) -> list[float]:
        """For each hypothesis: log10 of its interpolated probability less log10 of its n-gram
        probability, both with the end of the sentence.

        Args:
            hypotheses: numbers of words.
            words: the words of the numbers, and the n-gram model.
            share: of the LSTM, 0 to 1.
        """
        different = sorted(set(hypotheses))  # so that the batch does not depend on their order
        texts = [
            tuple(chain.from_iterable(map(words.spelled, hypothesis))) for hypothesis in different
        ]
        by_lstm = self.network.log_probabilities(texts)
        by_ngrams = _ngram_log10(different, words)
        found = {}
        for hypothesis, lstm, ngrams in zip(different, by_lstm, by_ngrams):
            ends = np.cumsum([len(words.spelled(number)) for number in hypothesis], dtype=int) - 1
            both = np.array(ngrams)
            known = [
                number not in words.phrases and self.network.knows(words.vocabulary[number])
                for number in hypothesis
            ]
            places = np.flatnonzero([*known, True])
            of_lstm = lstm[np.append(ends, len(lstm) - 1)[places]] / LOG_10
            both[places] = mixed_log10(of_lstm, both[places], share)
            found[hypothesis] = float((both - ngrams).sum())
        return [found[hypothesis] for hypothesis in hypotheses]


def _ngram_log10(hypotheses: Sequence[Numbers], words: SearchWords) -> list[list[float]]:
    """For each hypothesis: log10 of the probability of each word, 0 for a custom word, and of the
    end. A prefix that hypotheses share is scored once."""
    score_cache = words.language_model.score_cache()
    null_context = score_cache.number(score_cache.null_context())
    scored = dict[Numbers, tuple[int, float]]({(): (0, 0.0)})  # 0: the start of an utterance
    found = []
    for hypothesis in hypotheses:
        logs = []
        context = scored[()][0]
        for length, number in enumerate(hypothesis, start=1):
            prefix = hypothesis[:length]
            if prefix not in scored:
                if number in words.phrases:
                    parts = words.in_vocabulary.of(number) if words.in_vocabulary else ()
                    after = context if parts else null_context
                    for part in parts:
                        after, _ = score_cache.score(after, part)
                    scored[prefix] = after, 0.0
                else:
                    scored[prefix] = score_cache.score(context, number)
            context, log10 = scored[prefix]
            logs.append(log10)
        found.append([*logs, score_cache.end(context)])
    return found
