"""N-gram language models: KenLM binaries, and the numbers of words that a search knows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import kenlm
import numpy as np

from asr.errors import ModelError
from asr.language_model._kenlm_scorer import KenlmScorer, UpperBounds, check_pointers
from asr.language_model._score_cache import ScoreCache
from asr.language_model.kenlm_file import KenlmTrie, OtherKind, map_kenlm_trie
from asr.language_model.kenlm_header import check_hash_tables, read_kenlm_header

START, END = "<s>", "</s>"  # KenLM's words for the begin and the end of an utterance
UNKNOWN = 0  # KenLM's number of the word that stands for all it does not know
SANE_LOG10 = (-1000.0, 0.0)  # of probabilities; a damaged file may have others
LOOKED_UP = 1_000  # of the lexicon's words, to see whether the language model knows any
_KENLM_MAGIC = b"mmap lm http://kheafield.com/code format version 5"


class LanguageModel:
    """A KenLM file. The file is mapped into memory, and shared by every decoder made from it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ModelError when the file is missing, a folder, or no KenLM binary."""
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                magic = file.read(len(_KENLM_MAGIC))
        except FileNotFoundError:
            raise ModelError(f"{path}: no such file") from None
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
        if magic != _KENLM_MAGIC:
            raise ModelError(
                f"{path}: not a KenLM binary (version 5); make one with KenLM's build_binary"
            )

    def for_words(
        self, vocabulary: Sequence[str], in_trie: np.ndarray | None = None
    ) -> NumberedWords:
        """The language model of words by numbers, which are their places in the vocabulary.

        Args:
            in_trie: the words' numbers in the file, when they are known (`NumberedWords.in_trie`).

        Raises:
            ModelError: the file is truncated, KenLM cannot use it, or it knows none of the words.
        """
        model = self.open(to_score=False)  # see NumberedWords.score
        if not any(word in model for word in vocabulary[:LOOKED_UP]):
            raise ModelError(
                f"{self.path}: knows none of the lexicon's words ({vocabulary[0]} is the first); a "
                "language model is made of lower-case words, a to z and apostrophe"
            )
        return NumberedWords(model, self.trie, vocabulary, in_trie)

    @cached_property
    def trie(self) -> KenlmTrie | None:
        """What is in the file, if it is a trie and has its words.

        Raises:
            ModelError: the file is damaged or truncated.
        """
        try:
            trie = map_kenlm_trie(self.path)
        except OtherKind:
            return None
        except (OSError, ValueError) as error:
            raise self._damaged(error) from None
        if missing := [word for word in (START, END) if word not in trie.words]:
            raise self._damaged(f"its words lack {' and '.join(missing)}")
        return trie

    def open(self, to_score: bool = True) -> kenlm.Model:
        """KenLM's own, mapped into memory.

        Args:
            to_score: it is asked for probabilities, not for words alone. Then all pointers of a
                trie are checked before, about 50 ms for each million n-grams.

        Raises:
            ModelError: the file is damaged or truncated, or KenLM cannot use it.
        """
        try:
            if self.trie is not None:
                if to_score:
                    check_pointers(self.trie)
            else:
                self._check_other_kind()
            return kenlm.Model(str(self.path))
        except (OSError, RuntimeError, ValueError) as error:
            raise self._damaged(error) from None

    def _check_other_kind(self) -> None:
        """Raises ValueError for a damaged hash table, or a trie without its words."""
        data = np.memmap(self.path, np.uint8, "r")
        header = read_kenlm_header(data)
        if header.is_trie:
            check_pointers(map_kenlm_trie(self.path, needs_words=False))
        else:
            check_hash_tables(data, header)

    def _damaged(self, reason: Exception | str) -> ModelError:
        lines = str(reason).splitlines() or ["KenLM cannot load it"]
        return ModelError(
            f"{self.path}: damaged or truncated ({lines[0]}); copy it again, or make it anew with "
            "KenLM's build_binary"
        )


class WordModel(Protocol):
    """What a search asks about words, by their numbers."""

    def start(self) -> Any:
        """The state at the begin of an utterance."""

    def nothing(self) -> Any:
        """The state in which nothing is known of what was said before."""

    def score(self, state: Any, number: int) -> tuple[Any, float]:
        """The state after a word, and log10 of the word's probability."""

    def end(self, state: Any) -> float:
        """log10 of the probability that the utterance ends there."""

    def score_cache(self) -> ScoreCache:
        """What it has said so far; new ones when that has become too much."""


class NumberedWords:
    """An n-gram model of words by numbers. Its states are what it remembers of the words before."""

    def __init__(
        self,
        model: kenlm.Model,
        trie: KenlmTrie | None,
        words: Sequence[str],
        in_trie: np.ndarray | None = None,
    ) -> None:
        self._model, self._words = model, words
        self._trie, self._in_trie = trie, in_trie
        self._score_cache: ScoreCache | None = None

    def start(self) -> kenlm.State:
        """At the begin of an utterance."""
        state = kenlm.State()
        self._model.BeginSentenceWrite(state)
        return state

    def nothing(self) -> kenlm.State:
        """Where nothing is known of what was said before."""
        state = kenlm.State()
        self._model.NullContextWrite(state)
        return state

    def score(self, state: kenlm.State, number: int) -> tuple[kenlm.State, float]:
        """The state after a word, and log10 of the word's probability. For a trie that was read,
        `contexts` says the same, whatever the file holds, and KenLM is not asked."""
        after = kenlm.State()
        return after, self._model.BaseScore(state, self._words[number], after)

    def end(self, state: kenlm.State) -> float:
        """log10 of the probability that the utterance ends there."""
        return float(self._model.BaseScore(state, END, kenlm.State()))

    def alone(self) -> np.ndarray:
        """log10 of each word's probability when nothing is known of what was said before."""
        if self._trie is not None:
            of_trie: np.ndarray = self._trie.unigrams["probability"][self.in_trie]
            return of_trie.clip(*SANE_LOG10)
        nothing, after, score = self.nothing(), kenlm.State(), self._model.BaseScore
        found = np.array([score(nothing, word, after) for word in self._words], np.float32)
        return np.nan_to_num(found, nan=SANE_LOG10[0]).clip(*SANE_LOG10)

    def score_cache(self) -> ScoreCache:
        """What it has said so far, for all searches; new ones when that has become too much."""
        if self._score_cache is None or self._score_cache.full:
            self._score_cache = self._new_score_cache()
        return self._score_cache

    def _new_score_cache(self) -> ScoreCache:
        if self._trie is None:
            return ScoreCache(self)
        start, end = map(self._trie.words.index, (START, END))
        return KenlmScorer(self._trie, self.in_trie, self._upper_bounds, start, end)

    @cached_property
    def _upper_bounds(self) -> UpperBounds:
        return UpperBounds(len(self._words))

    @cached_property
    def in_trie(self) -> np.ndarray:
        """int32 [words]: the number that the file's trie has for each; it must have one."""
        assert self._trie
        if self._in_trie is not None:
            return self._in_trie  # KenlmScorer and cached_lexicon check it
        number_of = self._trie.number_of
        return np.array([number_of.get(word, UNKNOWN) for word in self._words], np.int32)
