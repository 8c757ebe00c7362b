"""Draws training samples: runs of words that end where an utterance could, with pauses and errors
as a recogniser gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asr.text.punctuation import PAUSE_FEATURES, Mark, scaled_pauses, word_features
from training.punctuation.config import PunctuationConfig
from training.punctuation.corpus import MarkedText
from training.punctuation.pauses import drawn_pauses

IGNORED = -100  # torch's label of what does not count in the loss


@dataclass(frozen=True)
class Samples:
    """A batch: utterances of one number of words."""

    features: Tensor  # int64 [samples, words, 7] rows of the table
    pauses: Tensor  # [samples, words, 3]
    marks: Tensor  # int64 [samples, words]
    cases: Tensor  # int64 [samples, words]; IGNORED at the start of a sentence


class Sampler:
    """Draws batches of a text."""

    def __init__(self, text: MarkedText, config: PunctuationConfig) -> None:
        self._text, self._config = text, config
        self._features = np.array([word_features(word) for word in text.vocabulary], np.int64)
        self._ends = np.flatnonzero(text.marks >= Mark.STOP)
        self._starts = text.starts

    def batch(self, random: np.random.Generator) -> Samples:
        """A batch; all its samples have as many words."""
        config, text = self._config, self._text
        low, high = config.sample_words
        high = min(high, len(text))
        length = round(float(np.exp(random.uniform(np.log(min(low, high)), np.log(high)))))
        count = max(1, round(config.samples * high / length / 2))
        at_end = random.random(count) < config.sentence_end_share
        last = np.where(
            at_end,
            self._ends[random.integers(len(self._ends), size=count)],
            random.integers(len(text), size=count),
        )
        places = np.maximum(last, length - 1)[:, None] + np.arange(1 - length, 1)
        marks = text.marks[places].astype(np.int64)
        cases = np.where(self._starts[places], IGNORED, text.cases[places].astype(np.int64))
        words = text.words[places]
        share = random.uniform(0, 2 * config.wrong_words_share, (count, 1))
        wrong = random.random(words.shape) < share
        words = np.where(wrong, text.words[random.integers(len(text), size=words.shape)], words)
        cases = np.where(wrong, IGNORED, cases)
        return Samples(
            torch.from_numpy(self._features[words]),
            torch.from_numpy(self._pauses(marks, random)),
            torch.from_numpy(marks),
            torch.from_numpy(cases),
        )

    def _pauses(self, marks: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """float32 [samples, words, 3]: as asr.text.punctuation.pause_features gives them."""
        seconds = drawn_pauses(marks, random)
        features = np.zeros((*marks.shape, PAUSE_FEATURES), np.float32)
        known = random.random(len(marks)) < self._config.pauses_share
        features[..., 0] = known[:, None]
        features[..., 1] = scaled_pauses(seconds) * known[:, None]
        features[:, -1] = (0, 0, 1)
        return features
