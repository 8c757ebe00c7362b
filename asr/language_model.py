"""N-gram language models: KenLM binaries, read through flashlight."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import ModelError
from asr.library_checks import check_flashlight

LOOKED_UP = 1_000  # of the lexicon's words, to see whether the language model knows any
HISTORIES, CANDIDATES = 32, 10_000  # words that `SteadyWords` looks at
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

    def for_words(self, vocabulary: list[str], alike: Sequence[str] = ()) -> Any:
        """flashlight's language model whose word numbers are the places in the vocabulary; the
        number after those is the unknown word's.

        Args:
            alike: for each further number the word of the language model that it behaves like: a
                class of words with one member's probabilities (Brown et al. 1992).

        Raises:
            ModelError: the file is truncated, KenLM cannot use it, or it knows none of the words.
        """
        check_flashlight()
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        numbers = Dictionary()
        for number, word in enumerate(vocabulary):
            numbers.add_entry(word, number)
        numbers.add_entry("<unk>", len(vocabulary))
        for number, word in enumerate(alike, start=len(vocabulary) + 1):
            # An entry must be new to the dictionary; KenLM reads a name up to its zero byte.
            numbers.add_entry(f"{word}\0{number}", number)
        try:
            model = KenLM(str(self.path), numbers)
        except (RuntimeError, ValueError) as error:
            first_line = str(error).splitlines()[0] if str(error) else "KenLM cannot load it"
            raise ModelError(f"{self.path}: damaged or truncated ({first_line})") from None
        begin = model.start(False)
        unknown = model.score(begin, len(vocabulary))[1]
        frequent = range(min(LOOKED_UP, len(vocabulary)))
        if all(model.score(begin, number)[1] == unknown for number in frequent):
            raise ModelError(
                f"{self.path}: knows none of the lexicon's words ({vocabulary[0]} is the first); a "
                "language model is made of lower-case words, a to z and apostrophe"
            )
        return model


class SteadyWords:
    """Words that are about as likely whatever was said before."""

    def __init__(self, model: Any, words: Sequence[str]) -> None:
        """Looks at the words (takes a few tenths of a second).

        Args:
            model: as `LanguageModel.for_words` gives it for a vocabulary.
            words: the vocabulary, most frequent first.
        """
        candidates = range(min(CANDIDATES, len(words)))
        scores = []
        for number in range(min(HISTORIES, len(words))):
            # A state keeps all that were scored after it: each history is forgotten with its own.
            history = model.score(model.start(True), number)[0]
            scores.append([model.score(history, candidate)[1] for candidate in candidates])
        begin = model.start(True)
        ends = np.array([model.finish(model.score(begin, number)[0])[1] for number in candidates])
        self._words, self._log10 = words, np.mean(scores, 0)
        # A word that is likely here and unlikely there is as bad as one that is off the mark, and
        # so is one that never stands at an end, as "the".
        self._unsteady = np.std(scores, 0) / 2 + (np.median(ends) - ends).clip(min=0)

    def likely(self, log10: Sequence[float]) -> list[str]:
        """For each log10 probability a word that has about that much."""
        wanted, which = np.unique(np.array(log10), return_inverse=True)
        distances = np.abs(self._log10[:, None] - wanted) + self._unsteady[:, None]
        return [self._words[number] for number in distances.argmin(0)[which].tolist()]
