"""Target tokens of the two output layers for a text."""

from __future__ import annotations

from asr.lexicon.lexicon import Lexicon, pronounce
from asr.text.alphabet import letter_ids, phone_ids


def target_ids(text: str, lexicon: Lexicon) -> tuple[list[int], list[int]]:
    """Phone and letter tokens of a normalised text.

    Each word has its first pronunciation. If the lexicon cannot pronounce one of the words, the
    phones are empty: the utterance then has letter targets (and teacher targets) only.
    """
    phones: list[int] = []
    for word in text.split():
        pronunciations = pronounce(word, lexicon)
        if not pronunciations:
            return [], letter_ids(text)
        phones += phone_ids(list(pronunciations[0]))
    return phones, letter_ids(text)
