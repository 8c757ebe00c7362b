"""Questions about the words of a segment that all rules ask."""

from __future__ import annotations

from collections.abc import Sequence


def word_set(text: str) -> frozenset[str]:
    """The words of a text, for tables of words."""
    return frozenset(text.split())


# Words in -s that nobody counts.
_NOT_COUNTED = word_set("was is this has its as does perhaps always us yes his hers theirs ours")
_IRREGULAR_PLURALS = word_set("people men women children feet teeth sheep")


def word_at(words: Sequence[str], at: int) -> str:
    """The word at a place, or nothing outside the segment."""
    return words[at] if 0 <= at < len(words) else ""


def says(words: Sequence[str], at: int, text: str) -> bool:
    """Whether the words of a text stand at a place."""
    parts = text.split()
    return at >= 0 and list(words[at : at + len(parts)]) == parts


def counted(word: str) -> bool:
    """Whether a word looks like a noun in the plural, of which there may be a number."""
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "'s"))
    return word in _IRREGULAR_PLURALS or (is_plural and word not in _NOT_COUNTED)
