"""KenLM files that Rill does not read itself, through the optional kenlm package.

They are hash tables (build_binary's `probing`, its default) and tries that were written without
their words. This is the only module that imports kenlm.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asr.errors import ModelError
from asr.language_model._kenlm_scorer import check_pointers
from asr.language_model._score_cache import ScoreCache
from asr.language_model.kenlm_file import map_kenlm_trie
from asr.language_model.kenlm_header import KenlmHeader, check_hash_tables, read_kenlm_header
from asr.language_model.word_models import END, LOG10_RANGE, VocabularyModel

if TYPE_CHECKING:
    import kenlm


def check_kenlm_file(path: Path) -> KenlmHeader:
    """Checks a file of any kind before KenLM reads it, which follows hash tables and pointers
    without a check. That takes about 50 ms for a million n-grams.

    Raises:
        OSError, ValueError: the file is damaged or truncated.
    """
    data = np.memmap(path, np.uint8, "r")
    header = read_kenlm_header(data)
    if header.is_trie:
        check_pointers(map_kenlm_trie(path, needs_words=False))
    else:
        check_hash_tables(data, header)
    return header


def load_with_kenlm(path: Path) -> kenlm.Model:
    """A file of any kind, mapped into memory by KenLM after a check.

    Raises:
        ModelError: the kenlm package is not installed.
        OSError, RuntimeError, ValueError: the file is damaged or truncated.
    """
    header = check_kenlm_file(path)
    try:
        import kenlm
    except ImportError:
        kind = "a trie without its words" if header.is_trie else 'a hash table ("probing")'
        raise ModelError(
            f"{path}: {kind}, which needs the kenlm package: pip install kenlm; or make a trie, "
            "which needs no package, with KenLM's build_binary trie"
        ) from None
    return kenlm.Model(str(path))


class KenlmModel(VocabularyModel):
    """A KenLM model of any kind, through the kenlm package."""

    def __init__(self, model: kenlm.Model, vocabulary: Sequence[str]) -> None:
        import kenlm

        super().__init__(vocabulary)
        self._model, self._new_state = model, kenlm.State

    def start(self) -> kenlm.State:
        """The state at the start of an utterance."""
        state = self._new_state()
        self._model.BeginSentenceWrite(state)
        return state

    def null_context(self) -> kenlm.State:
        """The state in which no previous word is known."""
        state = self._new_state()
        self._model.NullContextWrite(state)
        return state

    def score(self, state: kenlm.State, number: int) -> tuple[kenlm.State, float]:
        """The state after a word, and log10 of the word's probability."""
        after = self._new_state()
        return after, self._model.BaseScore(state, self.vocabulary[number], after)

    def end(self, state: kenlm.State) -> float:
        """log10 of the probability that the utterance ends after a state."""
        return float(self._model.BaseScore(state, END, self._new_state()))

    def unigram_log10(self) -> np.ndarray:
        """log10 of the probability of each word in the null context, float32 [words]."""
        null_context = self.null_context()
        numbers = range(len(self.vocabulary))
        log10 = np.array([self.score(null_context, number)[1] for number in numbers], np.float32)
        return np.nan_to_num(log10, nan=LOG10_RANGE[0]).clip(*LOG10_RANGE)

    def _new_score_cache(self) -> ScoreCache:
        return ScoreCache(self)
