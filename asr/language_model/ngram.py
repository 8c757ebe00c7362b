"""N-gram language models: the binaries of KenLM.

Rill reads KenLM's tries itself (asr/language_model/kenlm_file.py). The other kinds need the kenlm
package (asr/language_model/kenlm_package.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import ModelError
from asr.language_model._kenlm_scorer import check_pointers
from asr.language_model.kenlm_file import KenlmTrie, OtherKind, map_kenlm_trie
from asr.language_model.kenlm_package import KenlmModel, check_kenlm_file, load_with_kenlm
from asr.language_model.word_models import END, START, UNKNOWN, TrieModel, VocabularyModel

MAX_LOOKED_UP = 1_000  # of the lexicon's words, to see whether the language model knows any
_KENLM_MAGIC = b"mmap lm http://kheafield.com/code format version 5"

# log10 of the probability of a word, and whether the model lacks the word.
WordScore = tuple[float, bool]


class LanguageModel:
    """A KenLM file. It is mapped into memory, and all decoders made from it share it."""

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
        self, vocabulary: Sequence[str], numbers: np.ndarray | None = None
    ) -> VocabularyModel:
        """The language model of a vocabulary, by the numbers of its words.

        Args:
            numbers: int32 [words]: the words' numbers in the file's trie, if they are known
                (`TrieModel.numbers`).

        Raises:
            ModelError: the file is damaged or truncated, it knows none of the words, or its kind
                needs the kenlm package, which is not installed.
        """
        model: VocabularyModel
        if self.trie is not None:
            model = TrieModel(self.trie, vocabulary, numbers)
            knows_any = bool((model.numbers[:MAX_LOOKED_UP] != UNKNOWN).any())
        else:
            kenlm_model = self.with_kenlm()
            model = KenlmModel(kenlm_model, vocabulary)
            knows_any = any(word in kenlm_model for word in vocabulary[:MAX_LOOKED_UP])
        if not knows_any:
            raise self.knows_none(vocabulary)
        return model

    def knows_none(self, vocabulary: Sequence[str]) -> ModelError:
        """The error for a language model without any of the vocabulary's words."""
        return ModelError(
            f"{self.path}: knows none of the lexicon's words ({vocabulary[0]} is the first); a "
            "language model is made of lower-case words, a to z and apostrophe"
        )

    def check_for_kenlm(self) -> None:
        """Checks the file before KenLM's own code reads it.

        Raises:
            ModelError: the file is damaged or truncated.
        """
        try:
            check_kenlm_file(self.path)
        except (OSError, ValueError) as error:
            raise self._damaged(error) from None

    def sentence_scorer(self) -> Callable[[str], list[WordScore]]:
        """A function that scores the words of a sentence, and the end of the sentence as the last.

        Raises:
            ModelError: as `for_words`.
        """
        if self.trie is None:
            kenlm_model = self.with_kenlm()
            return lambda sentence: [
                (log10, is_unknown) for log10, _, is_unknown in kenlm_model.full_scores(sentence)
            ]
        try:
            check_pointers(self.trie)
        except ValueError as error:
            raise self._damaged(error) from None
        model, number_of = TrieModel(self.trie, self.trie.words), self.trie.number_of

        def score(sentence: str) -> list[WordScore]:
            cache, context = model.score_cache(), 0
            scores = []
            for word in sentence.split():
                number = number_of.get(word, UNKNOWN)
                context, log10 = cache.score(context, number)
                scores.append((log10, number == UNKNOWN))
            return [*scores, (cache.end(context), False)]

        return score

    @cached_property
    def trie(self) -> KenlmTrie | None:
        """The contents of the file, if it is a trie with its words.

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

    def with_kenlm(self) -> Any:
        """The file as a kenlm.Model.

        Raises:
            ModelError: the file is damaged or truncated, or the kenlm package is not installed.
        """
        try:
            return load_with_kenlm(self.path)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._damaged(error) from None

    def _damaged(self, reason: Exception | str) -> ModelError:
        lines = str(reason).splitlines() or ["KenLM cannot load it"]
        return ModelError(
            f"{self.path}: damaged or truncated ({lines[0]}); copy it again, or make it anew with "
            "KenLM's build_binary"
        )
