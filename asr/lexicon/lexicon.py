"""The lexicon: the pronunciations of words.

A lexicon is a text file, one pronunciation a line, most frequent word first:

    the     DH AH
    the     DH IY
    and     AE N D

The bundled lexicon has the words of the language model that CMUdict has, and possessives that
follow from one of its words.
"""

from __future__ import annotations

import lzma
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asr.errors import ModelError
from asr.text.alphabet import PHONES
from asr.text.normalise import invisible

Pronunciation = tuple[str, ...]
Lexicon = dict[str, list[Pronunciation]]

_VARIANT = re.compile(r"\(\d+\)$")
_SIBILANTS = {"S", "Z", "SH", "ZH", "CH", "JH"}
_VOICELESS = {"P", "T", "K", "F", "TH"}


def read_lexicon(path: str | os.PathLike[str], words: int | None = None) -> Lexicon:
    """Reads a lexicon file (plain or .xz), or its first `words` words.

    CMUdict's own format is read too: variants `word(2)`, stress digits, comments after `#`.

    Raises:
        ModelError: the file is missing, not text, has an unknown phone, or has no word.
    """
    known = set(PHONES)
    lexicon: Lexicon = {}
    for number, line in enumerate(_lines(path), start=1):
        # A loop of few instructions: a lexicon has 100,000 lines.
        word, *phones = (line.split("#")[0] if "#" in line else line).split()[:64] or [""]
        if not word:
            continue
        if not word.isascii() and (hidden := invisible(word)):
            raise ModelError(
                f"{path}, line {number}: '{word}' contains {hidden}, which is invisible; remove it"
            )
        if not known.issuperset(phones):
            phones = [phone.rstrip("012") for phone in phones]
        if not phones or not known.issuperset(phones):
            wrong = sorted(set(phones) - known)
            raise ModelError(
                f"{path}, line {number}: '{word}' has "
                + (f"unknown phones {' '.join(wrong)}" if wrong else "no phones")
                + "; a line is a word and phones of CMUdict: name  N EY M"
            )
        if word.endswith(")"):
            word = _VARIANT.sub("", word)
        variants, pronunciation = lexicon.get(word), tuple(phones)
        if variants is None:
            if words is not None and len(lexicon) >= words:
                break
            lexicon[word] = [pronunciation]
        elif pronunciation not in variants:
            variants.append(pronunciation)
    if not lexicon:
        raise ModelError(f"{path}: a lexicon with no words")
    return lexicon


def lexicon_bytes(path: str | os.PathLike[str]) -> bytes:
    """The contents of a lexicon's file. Raises ModelError when it cannot be read."""
    with _reading(path):
        return Path(path).read_bytes()


def write_lexicon(lexicon: Lexicon, path: str | os.PathLike[str]) -> None:
    """Writes a lexicon file, compressed if its name ends in .xz."""
    text = "".join(
        f"{word}\t{' '.join(phones)}\n" for word, variants in lexicon.items() for phones in variants
    )
    data = text.encode()
    Path(path).write_bytes(lzma.compress(data, preset=9) if str(path).endswith(".xz") else data)


def pronounce(word: str, lexicon: Lexicon) -> list[Pronunciation]:
    """All pronunciations of a word: from the lexicon, or as the possessive of one of its words.

    The list is empty if there is neither.
    """
    if word in lexicon:
        return lexicon[word]
    if word.endswith("'s") and word[:-2] in lexicon:
        return [phones + _possessive_ending(phones) for phones in lexicon[word[:-2]]]
    if word.endswith("s'") and word[:-1] in lexicon:
        return lexicon[word[:-1]]
    return []


def select_lexicon(words: Iterable[str], pronunciations: Lexicon) -> Lexicon:
    """The lexicon of the given words, in their order, without words that have no pronunciation."""
    selected = {word: pronounce(word, pronunciations) for word in words}
    return {word: variants for word, variants in selected.items() if variants}


def read_word_counts(path: str | os.PathLike[str]) -> dict[str, int]:
    """Reads words and counts from a file of `word<TAB>count` lines (plain or .xz), in its order.

    Raises:
        ModelError: the file is missing, not text, or has a line of another format.
    """
    counts = {}
    for number, line in enumerate(_lines(path), start=1):
        word, _, count = line.strip().partition("\t")
        if not word or not count.isdigit():
            raise ModelError(f"{path}, line {number}: expected a word, a tab and its count")
        counts[word] = int(count)
    return counts


def _possessive_ending(phones: Pronunciation) -> Pronunciation:
    last = phones[-1]
    if last in _SIBILANTS:
        return ("IH", "Z")
    return ("S",) if last in _VOICELESS else ("Z",)


def _lines(path: str | os.PathLike[str]) -> Iterable[str]:
    opener = lzma.open if str(path).endswith(".xz") else open
    with _reading(path), opener(path, "rt", encoding="utf-8-sig") as file:
        yield from file


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raises the errors of reading a file as ModelError."""
    try:
        yield
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
        raise ModelError(f"{path}: cannot be read as text ({error})") from None
