"""The layout of a KenLM trie.

It is that of KenLM's binary format 5 (lm/binary_format.cc, trie.cc, bhiksha.cc and quantize.hh;
K. Heafield, "KenLM: faster and smaller language model queries", 2011). A trie goes backwards: below
a word are the words before it. An entry is packed into bits: word, back-off weight and probability
(numbers of a table, or floats), and a pointer to its first entry in the level below.

asr/language_model/_kenlm_scorer.pyx looks n-grams up in a trie,
training/language_model/kenlm_ngrams.py reads all of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from asr.language_model.kenlm_header import (
    ARRAY,
    MAX_ORDER,
    QUANTISED,
    QUANTISED_ARRAY,
    KenlmHeader,
    read_kenlm_header,
)

UNIGRAM = np.dtype([("probability", "<f4"), ("backoff", "<f4"), ("next", "<u8")])
MAX_BITS = 25  # of the number of a probability or weight; KenLM's own limit
READ_BYTES = 8  # that are read at once, wherever a number starts


class OtherKind(ValueError):
    """A valid KenLM file of a kind that this module does not read: a hash table, or a trie without
    its words."""


@dataclass(frozen=True)
class Level:
    """The n-grams of one length above 1: `count` entries, and one more whose pointer is the end of
    the last entry's entries."""

    at: int  # byte of the file at which its entries start
    count: int
    word_bits: int
    value_bits: int
    weight_bits: int  # 0 for the longest n-grams
    inline_bits: int  # of a pointer
    values: np.ndarray | None  # float32: the table of log10 probabilities, if quantised
    weights: np.ndarray | None  # float32: the table of back-off weights
    high: np.ndarray  # int64: the entries at which the high bits of pointers grow by one

    @property
    def bits(self) -> int:
        """The bits of an entry."""
        return self.word_bits + self.value_bits + self.weight_bits + self.inline_bits

    def check(self, file_bytes: int, longest: bool) -> None:
        """Raises ValueError if a look-up could leave the file or a table, whatever the bits are.
        asr/language_model/_kenlm_levels.pxd checks pointers as it follows them."""
        entries_bytes = ((1 + self.count) * self.bits + 7) // 8
        if not 0 <= self.at <= file_bytes - entries_bytes - READ_BYTES:
            raise ValueError("its n-grams lie beyond its end")
        if max(self.word_bits, self.value_bits, self.weight_bits) > 32 or self.inline_bits > 57:
            raise ValueError("its numbers have too many bits")
        tables = [(self.values, self.value_bits)]
        if not longest:
            tables.append((self.weights, self.weight_bits))
        for table, bits in tables if self.values is not None else []:
            if table is None or table.dtype != np.float32 or len(table) != 2**bits:
                raise ValueError("a table of probabilities has another length")
            if not (table < np.inf).all():  # unused rows have -inf
                raise ValueError("a table of probabilities has a value that is no number")
        high = self.high
        if high.dtype != np.int64 or not len(high) or high[0] != 0 or (high[1:] < high[:-1]).any():
            raise ValueError("its pointers are damaged")


@dataclass(frozen=True)
class KenlmTrie:
    """A file, mapped into memory, and its parts."""

    data: np.ndarray  # uint8 [bytes]
    unigrams: np.ndarray  # UNIGRAM [words + 1]: the last one's pointer is the end of the entries
    levels: list[Level]  # of n-grams of 2, 3, ... words
    words: list[str] = field(repr=False)  # by KenLM's number: <unk> is 0

    def __post_init__(self) -> None:
        """Raises ValueError for parts that do not fit each other."""
        if not 2 <= self.order <= MAX_ORDER:
            raise ValueError(f"n-grams of {self.order} words; there are 2 to {MAX_ORDER}")
        if self.data.dtype != np.uint8 or self.unigrams.dtype != UNIGRAM:
            raise ValueError("parts of other types")
        if len(self.unigrams) != len(self.words) + 1 and self.words:
            raise ValueError(f"{len(self.unigrams) - 1} single words, and {len(self.words)} names")
        pointers = self.unigrams["next"]
        if (pointers[1:] < pointers[:-1]).any() or int(pointers[-1]) > self.levels[0].count:
            raise ValueError("the pointers of its single words are damaged")
        for part in ("probability", "backoff"):
            if not (self.unigrams[part] < np.inf)[:-1].all():
                raise ValueError(f"the {part} of a single word is no number")
        for number, level in enumerate(self.levels, start=2):
            level.check(len(self.data), longest=number == self.order)

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.levels) + 1

    @cached_property
    def number_of(self) -> dict[str, int]:
        """KenLM's number of each word."""
        return {word: number for number, word in enumerate(self.words)}


def map_kenlm_trie(path: str | os.PathLike[str], needs_words: bool = True) -> KenlmTrie:
    """Maps a KenLM trie into memory.

    Args:
        needs_words: if false, a trie without its words is read too, with empty `words`.

    Raises:
        OtherKind: the file is a hash table, or a trie without its words.
        ValueError: it is damaged or truncated.
    """
    data = np.memmap(Path(path), np.uint8, "r")
    header = read_kenlm_header(data)
    if not header.is_trie:
        raise OtherKind("it is a hash table; make a trie with build_binary trie")
    try:
        trie = _Walk(data, header).trie()
    except (IndexError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    if needs_words and not header.has_words:
        raise OtherKind("it was made without its words")
    return trie


class _Walk:
    """Finds the parts of a file. Each part starts where the one before ends."""

    def __init__(self, data: np.ndarray, header: KenlmHeader) -> None:
        self._data, self._header, self.counts = data, header, header.counts
        self._quantised = header.kind in (QUANTISED, QUANTISED_ARRAY)
        self._array = header.kind in (ARRAY, QUANTISED_ARRAY)
        # The number of words that have a hash; <unk> has none.
        (hashes,) = self._numbers(header.bytes, 1, "<u8").tolist()
        if not 0 < hashes <= self.counts[0]:
            raise ValueError(f"{hashes} of its {self.counts[0]} words have a name")
        self._at = header.bytes + 8 + 8 * self.counts[0]  # after the hashes of the words

    def trie(self) -> KenlmTrie:
        order, tables = len(self.counts), self._tables()
        unigrams = self._numbers(self._at, self.counts[0] + 2, UNIGRAM)[:-1]
        self._at += unigrams.nbytes + UNIGRAM.itemsize
        levels = [self._level(length, *tables[length - 2]) for length in range(2, order + 1)]
        words = []
        if self._header.has_words:
            words = self._data[self._at :].tobytes().decode().split("\0")[:-1]
            if len(words) != self.counts[0]:
                raise ValueError(f"it has names for {len(words)} of its {self.counts[0]} words")
        return KenlmTrie(self._data, unigrams, levels, words)

    def _tables(self) -> list[tuple[np.ndarray | None, np.ndarray | None]]:
        """The tables of probabilities and of back-off weights, for each length from 2 on."""
        order = len(self.counts)
        if not self._quantised:
            return [(None, None)] * (order - 1)
        bits, backoff_bits = self._data[self._at + 1 : self._at + 3].tolist()
        if not (1 <= bits <= MAX_BITS and 1 <= backoff_bits <= MAX_BITS):
            raise ValueError(f"numbers of {bits} and {backoff_bits} bits for probabilities")
        self._at += 8
        tables: list[tuple[np.ndarray | None, np.ndarray | None]] = []
        for length in range(2, order + 1):
            parts: list[np.ndarray | None] = [None, None]
            for part, size in enumerate((2**bits, 2**backoff_bits)[: 2 if length < order else 1]):
                parts[part] = self._numbers(self._at, size, "<f4")
                self._at += 4 * size
            tables.append((parts[0], parts[1]))
        return tables

    def _level(self, length: int, values: np.ndarray | None, weights: np.ndarray | None) -> Level:
        count, longest = self.counts[length - 1], length == len(self.counts)
        value_bits, weight_bits = 31, 32  # floats; a probability's sign is known
        if values is not None:
            value_bits = (len(values) - 1).bit_length()
            weight_bits = 0 if weights is None else (len(weights) - 1).bit_length()
        inline_bits, high = (0, np.zeros(1, np.int64)) if longest else self._pointers(length)
        weight_bits = 0 if longest else weight_bits
        word_bits = self.counts[0].bit_length()
        level = Level(
            self._at, count, word_bits, value_bits, weight_bits, inline_bits, values, weights, high
        )
        self._at += ((1 + count) * level.bits + 7) // 8 + 8
        return level

    def _pointers(self, length: int) -> tuple[int, np.ndarray]:
        """The bits of a pointer that are in its entry, and the entries at which its high bits grow
        by one (B. Raj and E. Whittaker 2003)."""
        next_count, entries = self.counts[length], self.counts[length - 1] + 1
        required = next_count.bit_length()
        if not self._array:
            return required, np.zeros(1, np.int64)
        start = -(-self._at // 8) * 8
        max_chopped = min(required, int(self._data[self._at + 1]))
        costs = [
            (next_count >> (required - chopped)) * 64 - entries * chopped
            for chopped in range(max_chopped + 1)
        ]
        chopped = int(np.argmin(costs))
        size = (next_count >> (required - chopped)) + 1
        self._at += 8 * (1 + size) + 7
        return required - chopped, self._numbers(start + 8, size, "<u8").astype(np.int64)

    def _numbers(self, start: int, count: int, kind: str | np.dtype) -> np.ndarray:
        return np.frombuffer(self._data, kind, count, start)
