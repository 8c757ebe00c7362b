"""The n-grams of a KenLM trie, read from its binary: KenLM itself only answers for single ones.

The layout is that of KenLM's binary format 5 (lm/binary_format.cc, trie.cc, bhiksha.cc and
quantize.hh; K. Heafield, "KenLM: faster and smaller language model queries", 2011). A trie goes
backwards: below a word are those that stand before it. An entry is packed into bits: word, back-off
weight and probability (numbers of a table, or floats), and where its own entries begin.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

from asr.errors import DataError
from asr.language_model import LanguageModel
from training.ngrams import NGrams, Rows

SANITY_BYTES = 88  # the magic line, and numbers that tell the machine's byte order
PARAMETERS = struct.Struct("<B3xfI?3xI")  # order, probing multiplier, type, words at the end
PLAIN, QUANTISED, ARRAY, QUANTISED_ARRAY = 2, 3, 4, 5  # types of tries
UNIGRAM = np.dtype([("probability", "<f4"), ("backoff", "<f4"), ("next", "<u8")])


def read_kenlm_trie(path: str | os.PathLike[str], numbers: dict[str, int]) -> NGrams:
    """The n-grams of a KenLM trie; new words are added to `numbers`.

    Raises:
        ModelError: missing, or no KenLM binary.
        DataError: damaged, a hash table instead of a trie, or without its words.
    """
    LanguageModel(path)  # tells what is wrong with the file
    data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    try:
        return _Trie(data).ngrams(numbers)
    except (ValueError, IndexError, struct.error) as error:
        raise DataError(f"{path}: no trie of KenLM's that can be read ({error})") from None


class _Trie:
    """A walk through the file: each part begins where the one before ends."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data
        order, _, kind, has_words, _ = PARAMETERS.unpack_from(data.tobytes()[:256], SANITY_BYTES)
        if kind not in (PLAIN, QUANTISED, ARRAY, QUANTISED_ARRAY):
            raise ValueError("it is a hash table; make a trie with build_binary trie")
        if not has_words:
            raise ValueError("it was made without its words")
        begin = SANITY_BYTES + PARAMETERS.size
        self.counts = self._numbers(begin, order, "<u8").tolist()
        self._quantised = kind in (QUANTISED, QUANTISED_ARRAY)
        self._array = kind in (ARRAY, QUANTISED_ARRAY)
        header = -(-(begin + 8 * order) // 8) * 8
        self._at = header + 8 + 8 * self.counts[0]  # behind the hashes of the words

    def ngrams(self, numbers: dict[str, int]) -> NGrams:
        order, tables = len(self.counts), self._tables()
        unigrams = self._numbers(self._at, self.counts[0] + 2, UNIGRAM)
        self._at += unigrams.nbytes
        values = [10.0 ** unigrams["probability"][:-2].astype(float)]
        weights = [10.0 ** unigrams["backoff"][:-2].astype(float)]
        rows: list[Rows] = [np.arange(self.counts[0], dtype=np.int32)[:, None]]
        next_places = unigrams["next"][:-1].astype(np.int64)
        for length in range(2, order + 1):
            count = self.counts[length - 1]
            # Row k of the level above has the entries from next_places[k] to next_places[k + 1].
            parents = np.repeat(np.arange(len(next_places) - 1), np.diff(next_places))
            if len(parents) != count:
                raise ValueError("its pointers do not fit its counts")
            words, value, weight, next_places = self._level(length, tables[length - 2])
            rows.append(np.column_stack([words.astype(np.int32), rows[-1][parents]]))
            values.append(10.0**value)
            weights.append(10.0**weight)
        spelled = self._data[self._at :].tobytes().decode().split("\0")[:-1]
        if len(spelled) != self.counts[0]:
            raise ValueError("it was made without its words")
        number_of = np.array([numbers.setdefault(w, len(numbers)) for w in spelled], np.int32)
        return NGrams(list(numbers), [number_of[r] for r in rows], values, weights)

    def _tables(self) -> list[tuple[np.ndarray, ...]]:
        """For each length from 2 on the probabilities and back-off weights, by their numbers."""
        order = len(self.counts)
        if not self._quantised:
            return [()] * (order - 1)
        bits, backoff_bits = self._data[self._at + 1 : self._at + 3].tolist()
        self._at += 8
        tables: list[tuple[np.ndarray, ...]] = []
        for length in range(2, order + 1):
            parts = []
            for size in (2**bits, 2**backoff_bits)[: 2 if length < order else 1]:
                parts.append(self._numbers(self._at, size, "<f4").astype(float))
                self._at += 4 * size
            tables.append(tuple(parts))
        return tables

    def _level(self, length: int, tables: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Words, log10 of probabilities and of back-off weights, and where their entries begin."""
        count, longest = self.counts[length - 1], length == len(self.counts)
        word_bits = self.counts[0].bit_length()
        if tables:
            value_bits, weight_bits = ((len(t) - 1).bit_length() for t in (tables * 2)[:2])
        else:
            value_bits, weight_bits = 31, 32  # a probability's sign is known
        weight_bits = 0 if longest else weight_bits
        inline_bits, high = (0, None) if longest else self._pointers(length)
        total_bits = word_bits + value_bits + weight_bits + inline_bits
        places = np.arange(count + 1, dtype=np.int64) * total_bits
        words = self._bits(places[:-1], word_bits)
        places += word_bits
        if tables:  # the weight stands first
            value = tables[0][self._bits(places[:-1] + weight_bits, value_bits)]
            weight = np.zeros(count)
            if not longest:
                weight = tables[1][self._bits(places[:-1], weight_bits)]
        else:
            value = _floats(self._bits(places[:-1], 31) | (1 << 31))
            weight = np.zeros(count)
            if not longest:
                weight = _floats(self._bits(places[:-1] + 31, 32))
        next_places = self._bits(places + value_bits + weight_bits, inline_bits)
        if high is not None:
            ranks = np.searchsorted(high, np.arange(count + 1), "right") - 1
            next_places |= ranks << inline_bits
        self._at += ((1 + count) * total_bits + 7) // 8 + 8
        return words, value, weight, next_places

    def _pointers(self, length: int) -> tuple[int, np.ndarray | None]:
        """Bits of a pointer in its entry; and for compressed ones the entries at which the rest of
        it grows by one (B. Raj and E. Whittaker 2003)."""
        next_count, entries = self.counts[length], self.counts[length - 1] + 1
        required = next_count.bit_length()
        if not self._array:
            return required, None
        begin = -(-self._at // 8) * 8
        most = min(required, int(self._data[self._at + 1]))
        costs = [
            (next_count >> (required - chop)) * 64 - entries * chop for chop in range(most + 1)
        ]
        chopped = int(np.argmin(costs))
        size = (next_count >> (required - chopped)) + 1
        self._at += 8 * (1 + size) + 7
        return required - chopped, self._numbers(begin + 8, size, "<u8").astype(np.int64)

    def _bits(self, places: np.ndarray, count: int) -> np.ndarray:
        """Numbers of so many bits, at most 57, that stand at these bits from here."""
        octets = self._data[(self._at + (places >> 3))[:, None] + np.arange(8)]
        packed = octets.view("<u8")[:, 0] >> (places & 7).astype(np.uint64)
        return (packed & np.uint64((1 << count) - 1)).astype(np.int64)

    def _numbers(self, begin: int, count: int, kind: str | np.dtype) -> np.ndarray:
        return np.frombuffer(self._data, kind, count, begin)


def _floats(bits: np.ndarray) -> np.ndarray:
    return bits.astype(np.uint32).view(np.float32).astype(float)
