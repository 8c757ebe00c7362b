"""How words sound: the lexicon that ties phones to words.

A lexicon is a text file, one pronunciation a line, most frequent word first:

    the     DH AH
    the     DH IY
    and     AE N D

The bundled one holds the words of the language model that CMUdict knows, and possessives that
follow from a known word.
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
    """A lexicon file (plain or .xz), or its first `words` words.

    Also reads CMUdict's own form: variants `word(2)`, stress digits, comments behind `#`.

    Raises:
        ModelError: missing, not text, a phone that does not exist, or no word at all.
    """
    known = set(PHONES)
    lexicon: Lexicon = {}
    for number, line in enumerate(_lines(path), start=1):
        # A line costs microseconds, and each start of the recogniser reads 76,000.
        word, *phones = (line.split("#")[0] if "#" in line else line).split()[:64] or [""]
        if not word:
            continue
        if not word.isascii() and (hidden := invisible(word)):
            raise ModelError(
                f"{path}, line {number}: '{word}' holds {hidden}, which cannot be seen; take it out"
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
    """A lexicon's file as it is; raises ModelError when it cannot be read."""
    with _told(path):
        return Path(path).read_bytes()


def write_lexicon(lexicon: Lexicon, path: str | os.PathLike[str]) -> None:
    """Write a lexicon file, compressed when its name ends in .xz."""
    text = "".join(
        f"{word}\t{' '.join(phones)}\n" for word, variants in lexicon.items() for phones in variants
    )
    data = text.encode()
    Path(path).write_bytes(lzma.compress(data, preset=9) if str(path).endswith(".xz") else data)


def pronounce(word: str, lexicon: Lexicon) -> list[Pronunciation]:
    """All pronunciations of a word: from the lexicon, or as the possessive of a word in it.

    Empty when neither knows it.
    """
    if word in lexicon:
        return lexicon[word]
    if word.endswith("'s") and word[:-2] in lexicon:
        return [phones + _possessive_ending(phones) for phones in lexicon[word[:-2]]]
    if word.endswith("s'") and word[:-1] in lexicon:
        return lexicon[word[:-1]]
    return []


def select_lexicon(words: Iterable[str], pronunciations: Lexicon) -> Lexicon:
    """The lexicon of the given words, in their order, without those that have no pronunciation."""
    selected = {word: pronounce(word, pronunciations) for word in words}
    return {word: variants for word, variants in selected.items() if variants}


def read_word_counts(path: str | os.PathLike[str]) -> dict[str, int]:
    """Words and counts from a file of `word<TAB>count` lines (plain or .xz), in the file's order.

    Raises:
        ModelError: missing, not text, or a line of another form.
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
    with _told(path), opener(path, "rt", encoding="utf-8-sig") as file:
        yield from file


@contextmanager
def _told(path: str | os.PathLike[str]) -> Iterator[None]:
    """What is wrong with a file, as a ModelError."""
    try:
        yield
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
        raise ModelError(f"{path}: cannot be read as text ({error})") from None
