"""Grapheme-to-phoneme conversion: pronunciations of words that no dictionary has.

A bidirectional LSTM reads the letters of a word. Each letter has two output steps (x is K S, most
others need one or none). The alignment of phones and letters is learnt with CTC (Graves et al.
2006), so a dictionary is the only training data.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

from asr.errors import ModelError
from asr.lexicon.lexicon import Lexicon, Pronunciation, pronounce
from asr.onnx_session import open_session
from asr.text.alphabet import PHONE_TOKENS, letter_ids
from asr.text.normalise import normalise

BATCH_WORDS = 512
_INITIALISM = re.compile("[bcdfghjklmnpqrstvwxz]{2,5}")  # no vowel: spoken letter by letter
_LETTER_NAMES = {
    "b": "B IY", "c": "S IY", "d": "D IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "j": "JH EY",
    "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "p": "P IY", "q": "K Y UW", "r": "AA R",
    "s": "EH S", "t": "T IY", "v": "V IY", "w": "D AH B AH L Y UW", "x": "EH K S", "z": "Z IY",
}  # fmt: skip


class GraphemeToPhoneme:
    """A grapheme-to-phoneme model that `rill prepare g2p` made."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ModelError when the file is missing, damaged, or another model's."""
        remedy = "rill prepare g2p makes one"
        self._session = open_session(Path(path), threads=1, remedy=remedy)
        if [value.name for value in self._session.get_inputs()] != ["letters"]:
            raise ModelError(f"{path}: not a grapheme-to-phoneme model; {remedy}")

    def pronounce(self, words: Iterable[str]) -> dict[str, Pronunciation]:
        """The most likely pronunciation of each word (letters a to z and apostrophe).

        A word for which the model outputs no phone is left out.
        """
        found = {}
        for batch in same_length_batches(words, BATCH_WORDS):
            letters = np.array([letter_ids(word) for word in batch], np.int64)
            (log_probabilities,) = self._session.run(["phones"], {"letters": letters})
            for word, path in zip(batch, log_probabilities.argmax(-1).tolist()):
                phones = tuple(PHONE_TOKENS[token] for token, _ in groupby(path) if token)
                if phones:
                    found[word] = phones
        return found


def pronounce_missing(
    words: Iterable[str], lexicon: Lexicon, model: GraphemeToPhoneme
) -> dict[str, Pronunciation]:
    """Pronunciations of those words that `pronounce` does not find in the lexicon.

    Words that the letters cannot spell (normalisation would change them) are left out. A possessive
    has the pronunciation of its word and the regular ending. Two to five consonants are spelled
    letter by letter: css, dvds.
    """
    spelled = (word for word in dict.fromkeys(words) if normalise(word) == word)
    missing = [word for word in spelled if not pronounce(word, lexicon)]
    stems = dict.fromkeys(word.removesuffix("'s") for word in missing)
    spoken: Lexicon = {word: [phones] for word, phones in model.pronounce(stems).items()}
    spoken |= {word: [_letter_by_letter(word)] for word in stems if _INITIALISM.fullmatch(word)}
    return {
        word: variants[0]
        for word in missing
        if (variants := pronounce(word, spoken) or pronounce(word, lexicon))
    }


def _letter_by_letter(word: str) -> Pronunciation:
    """The pronunciation of an initialism, or of its plural: an s after three letters is Z."""
    plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    names = [_LETTER_NAMES[letter] for letter in (word[:-1] if plural else word)]
    return tuple(" ".join([*names, "Z"] if plural else names).split())


def same_length_batches(words: Iterable[str], max_words: int) -> list[list[str]]:
    """Words in batches of one word length each, so that none needs padding."""
    by_length: dict[int, list[str]] = defaultdict(list)
    for word in words:
        if word:
            by_length[len(word)].append(word)
    return [
        same[start : start + max_words]
        for _, same in sorted(by_length.items())
        for start in range(0, len(same), max_words)
    ]
