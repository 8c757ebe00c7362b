"""The perplexity of a language model on a text: `rill lm perplexity`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from asr.errors import DataError, ModelError
from asr.language_model.lstm import END, LstmLanguageModel
from asr.language_model.mixture import LOG_10, mixed_log10
from asr.language_model.ngram import LanguageModel
from asr.text.sentences import read_sentences

MIN_LOG10 = -300.0  # of a probability; KenLM gives unknown words -100
BATCH_SENTENCES = 256  # of the LSTM


@dataclass(frozen=True)
class Perplexity:
    """The perplexity of a text. The ends of its sentences count as words."""

    words: int
    unknown_words: int
    value: float  # of known words
    value_with_unknown: float  # of all words, unknown ones with the probability of <unk>

    def line(self) -> str:
        """One line of text."""
        share = 100 * self.unknown_words / self.words
        return (
            f"perplexity {self.value:.1f}, with unknown words {self.value_with_unknown:.1f} "
            f"({self.words} words and ends of sentences, {share:.2f} % unknown)"
        )


def measure_perplexity(model: str | os.PathLike[str], text: str | os.PathLike[str]) -> Perplexity:
    """The perplexity of a KenLM binary on a text, normalised as transcripts are.

    Raises:
        ModelError: the model is missing or damaged.
        DataError: the text is missing, no text, or has no sentence that can be used.
    """
    language_model = LanguageModel(model)
    path, score = language_model.path, language_model.sentence_scorer()
    words = unknown_words = 0
    known = unknown = 0.0
    for sentence in read_sentences(text):
        for log10, is_unknown in score(sentence):
            _check(path, log10)
            words += 1
            unknown_words += is_unknown
            if is_unknown:
                unknown += log10
            else:
                known += log10
    if not words or words == unknown_words:
        raise DataError(f"{text}: no sentence in it whose words {path} knows")
    return Perplexity(
        words,
        unknown_words,
        10 ** (-known / (words - unknown_words)),
        10 ** (-(known + unknown) / words),
    )


@dataclass(frozen=True)
class MixturePerplexity:
    """The perplexities of a text that two models and their mixture have. They count the words that
    the n-gram model knows, and the ends of sentences."""

    words: int
    unknown_to_lstm: int
    ngrams: float
    lstm: float  # a word that it lacks has its share of the rare words' probability
    both: float  # a word that the LSTM lacks has its n-gram probability
    share: float

    def line(self) -> str:
        """One line of text."""
        return (
            f"perplexity {self.ngrams:.1f} of the n-grams, {self.lstm:.1f} of the LSTM, "
            f"{self.both:.1f} of both (share of the LSTM {self.share:g}; {self.words} words, "
            f"{100 * self.unknown_to_lstm / self.words:.2f} % unknown to the LSTM)"
        )


def measure_mixture(
    model: str | os.PathLike[str],
    lstm: str | os.PathLike[str],
    text: str | os.PathLike[str],
    share: float,
) -> MixturePerplexity:
    """The perplexities of a KenLM binary, of a model of `rill lm train`, and of their mixture as in
    rescoring.

    Raises:
        ModelError: a model is missing or damaged.
        DataError: the text is missing, no text, or has no sentence that can be used.
    """
    language_model = LanguageModel(model)
    path, score = language_model.path, language_model.sentence_scorer()
    network = LstmLanguageModel(lstm)
    by_ngrams, by_lstm, known = list[float](), list[float](), list[bool]()
    for sentences in _batches(read_sentences(text), BATCH_SENTENCES):
        split = [tuple(sentence.split()) for sentence in sentences]
        logs = network.log_probabilities(split)
        for sentence, words, of_lstm in zip(sentences, split, logs):
            for (log10, is_unknown), log, word in zip(score(sentence), of_lstm, [*words, END]):
                _check(path, log10)
                if not is_unknown:
                    by_ngrams.append(log10)
                    by_lstm.append(float(log) / LOG_10)
                    known.append(network.knows(word))
    if not known:
        raise DataError(f"{text}: no sentence in it whose words {path} knows")
    ngrams, of_lstm = np.array(by_ngrams), np.array(by_lstm)
    both = np.where(known, mixed_log10(of_lstm, ngrams, share), ngrams)
    alone, other, mixed = (float(10 ** -logs.mean()) for logs in (ngrams, of_lstm, both))
    return MixturePerplexity(len(known), known.count(False), alone, other, mixed, share)


def _check(path: Path, log10: float) -> None:
    """Raises ModelError for a value that is no probability."""
    if not MIN_LOG10 <= log10 <= 10:
        raise ModelError(
            f"{path}: the language model is damaged: log10 of a probability is {log10}"
        )


def _batches(sentences: Iterator[str], size: int) -> Iterator[list[str]]:
    while batch := list(islice(sentences, size)):
        yield batch
