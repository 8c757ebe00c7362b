"""Punctuation marks and letter case of recognised words, by a small bidirectional LSTM.

The network reads the words of an utterance, the pauses between them and the last words of the
utterance before. It needs no vocabulary: a word is the sum of embeddings that hashes of its letters
select (compare fastText: Bojanowski et al. 2017, arXiv 1607.04606). `rill punctuation train` makes
it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr.errors import ModelError
from asr.onnx_session import open_described

FORMAT, METADATA = 1, "rill_punctuation"
BUCKETS = 1 << 16  # rows of the table of embeddings
FEATURES = 7  # rows that one word is the sum of
PAUSE_FEATURES = 3
LONGEST_PAUSE_S = 3.0
CONTEXT_WORDS = 16  # of the utterances before, which the network reads once more
_REMEDY = "rill punctuation train makes one"


class Mark(IntEnum):
    """The mark after a word."""

    NONE, COMMA, STOP, QUESTION, EXCLAMATION = range(5)

    @property
    def text(self) -> str:
        """As it is written."""
        return ("", ",", ".", "?", "!")[self]

    @property
    def ends_sentence(self) -> bool:
        """Whether the next word starts a sentence."""
        return self >= Mark.STOP


class Case(IntEnum):
    """The letter case of a word within a sentence."""

    LOWER, CAPITAL, UPPER, MIXED = range(4)


class Marked(NamedTuple):
    """What the network says about one word."""

    mark: Mark
    case: Case


class Punctuation:
    """A network that `rill punctuation train` wrote. It holds no state: threads may share it."""

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Raises ModelError when the file is missing, damaged, or another model's."""
        self.path = Path(path)
        self._session, metadata = open_described(
            self.path, threads, _REMEDY, METADATA, FORMAT, "a punctuation model"
        )
        try:
            # Words that are neither lower case, Capital nor UPPER: "iphone": "iPhone".
            self.mixed_forms: dict[str, str] = dict(metadata["mixed_forms"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: damaged ({error}). {_REMEDY}") from None

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the network: the written text is of this one."""
        return f"punctuation {zlib.crc32(self.path.read_bytes())}"

    def mark(self, words: Sequence[str], pauses_s: Sequence[float | None]) -> list[Marked]:
        """The mark after each word, and its case.

        Args:
            words: as spoken, lower case.
            pauses_s: the pause after each word; None where it is not known. The last one lasts
                until the utterance after, which has not started yet, and does not count.
        """
        if not words:
            return []
        marks, cases = self._session.run(
            ["marks", "cases"],
            {
                "words": np.array([word_features(word) for word in words], np.int64),
                "pauses": pause_features(pauses_s),
            },
        )
        return [Marked(Mark(m), Case(c)) for m, c in zip(marks.argmax(-1), cases.argmax(-1))]

    def form(self, word: str, case: Case) -> str:
        """A word in its letter case."""
        if case == Case.LOWER:
            return word
        if form := self.mixed_forms.get(word):
            return form
        stem, apostrophe, ending = word.partition("'")
        if case == Case.UPPER:
            return stem.upper() + apostrophe + ending
        return capitalised(word)


def capitalised(word: str) -> str:
    """The word with its first letter upper case."""
    return word[:1].upper() + word[1:]


@lru_cache(50_000)
def word_features(word: str) -> tuple[int, ...]:
    """The rows of the table of embeddings that a word is the sum of."""
    parts = (f"0{word}", f"1{word}", f"2{word[:2]}", f"3{word[:4]}",
             f"4{word[-2:]}", f"5{word[-3:]}", f"6{word[-5:]}")  # fmt: skip
    return tuple(zlib.crc32(part.encode()) % BUCKETS for part in parts)


def pause_features(pauses_s: Sequence[float | None]) -> np.ndarray:
    """float32 [words, 3]: whether the pause after a word is known; its length from 0 to 1, on a
    logarithmic scale; whether the word is the last one."""
    features = np.zeros((len(pauses_s), PAUSE_FEATURES), np.float32)
    features[:, 0] = [pause is not None for pause in pauses_s]
    features[:, 1] = scaled_pauses(np.array([pause or 0 for pause in pauses_s]))
    features[-1] = (0, 0, 1)
    return features


def scaled_pauses(seconds: np.ndarray) -> np.ndarray:
    """Pauses as numbers from 0 to 1, on a logarithmic scale."""
    bounded = np.clip(seconds, 0, LONGEST_PAUSE_S)
    scaled: np.ndarray = np.log1p(20 * bounded) / np.log1p(20 * LONGEST_PAUSE_S)
    return scaled
