"""What the two heads are to write for a text."""

from __future__ import annotations

from asr.lexicon.lexicon import Lexicon, pronounce
from asr.text.alphabet import letter_ids, phone_ids


def target_ids(text: str, lexicon: Lexicon) -> tuple[list[int], list[int]]:
    """Phone and letter tokens of a normalised text.

    The first pronunciation of each word is taken. When the lexicon cannot pronounce one of the
    words the phones are empty: that utterance then teaches letters (and what the teacher heard).
    """
    phones: list[int] = []
    for word in text.split():
        copies = pronounce(word, lexicon)
        if not copies:
            return [], letter_ids(text)
        phones += phone_ids(list(copies[0]))
    return phones, letter_ids(text)
