"""N-gram models of a vocabulary, whose words are numbers: what a search scores words with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from asr.language_model._kenlm_scorer import KenlmScorer, UpperBounds
from asr.language_model._score_cache import ScoreCache
from asr.language_model.kenlm_file import KenlmTrie

START, END = "<s>", "</s>"  # KenLM's words for the start and the end of an utterance
UNKNOWN = 0  # KenLM's number of <unk>, which stands for all words that a model lacks
LOG10_RANGE = (-1000.0, 0.0)  # of probabilities; a damaged file may have others


class WordModel(Protocol):
    """What a search needs of a language model."""

    def score_cache(self) -> ScoreCache:
        """The scores so far, shared by all searches; a new cache when that is full."""


class StateModel(Protocol):
    """A language model in Python, as `ScoreCache` uses it. States are hashable."""

    def start(self) -> Any:
        """The state at the start of an utterance."""

    def null_context(self) -> Any:
        """The state in which no previous word is known."""

    def score(self, state: Any, number: int) -> tuple[Any, float]:
        """The state after a word, and log10 of the word's probability."""

    def end(self, state: Any) -> float:
        """log10 of the probability that the utterance ends after a state."""


class VocabularyModel(ABC):
    """An n-gram model of the words of a vocabulary. A word's number is its place there."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = vocabulary
        self._score_cache: ScoreCache | None = None

    def score_cache(self) -> ScoreCache:
        """The scores so far, shared by all searches; a new cache when that is full."""
        if self._score_cache is None or self._score_cache.full:
            self._score_cache = self._new_score_cache()
        return self._score_cache

    @abstractmethod
    def unigram_log10(self) -> np.ndarray:
        """log10 of the probability of each word in the null context, float32 [words]."""

    @abstractmethod
    def _new_score_cache(self) -> ScoreCache: ...


class TrieModel(VocabularyModel):
    """A KenLM trie, which Rill reads itself."""

    def __init__(
        self, trie: KenlmTrie, vocabulary: Sequence[str], numbers: np.ndarray | None = None
    ) -> None:
        """
        Args:
            trie: with the words `START` and `END`.
            numbers: int32 [words]: the trie's number of each word. Without them, the words are
                looked up.
        """
        super().__init__(vocabulary)
        self.trie = trie
        if numbers is None:
            number_of = trie.number_of
            numbers = np.array([number_of.get(word, UNKNOWN) for word in vocabulary], np.int32)
        self.numbers = numbers

    def unigram_log10(self) -> np.ndarray:
        """log10 of the probability of each word in the null context, float32 [words]."""
        log10: np.ndarray = self.trie.unigrams["probability"][self.numbers]
        return log10.clip(*LOG10_RANGE)

    def _new_score_cache(self) -> ScoreCache:
        start, end = map(self.trie.words.index, (START, END))
        return KenlmScorer(self.trie, self.numbers, self._upper_bounds, start, end)

    @cached_property
    def _upper_bounds(self) -> UpperBounds:
        return UpperBounds(len(self.vocabulary))
