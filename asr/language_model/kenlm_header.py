"""The begin of a KenLM binary, and whether its parts can be what it says.

KenLM believes what a file says of itself: a count or a hash table that was damaged on the way makes
it read beyond the file, or search for ever. So nothing is given to it, or looked up by
asr/language_model/_kenlm_scorer.pyx, before its sizes were checked here (format 5:
lm/binary_format.cc, vocab.hh and search_hashed.hh).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

SANITY_BYTES = 88  # the magic line, and numbers that tell the machine's byte order
PARAMETERS = struct.Struct("<B3xfI?3xI")  # order, probing multiplier, type, words at the end
HASHED, REST_HASHED = 0, 1  # types of hash tables
PLAIN, QUANTISED, ARRAY, QUANTISED_ARRAY = 2, 3, 4, 5  # types of tries
MAX_ORDER = 6  # KenLM's own limit
MAX_MULTIPLIER = 1_000.0  # of a hash table's size; KenLM's default is 1.5


@dataclass(frozen=True)
class KenlmHeader:
    """What a file says of itself."""

    kind: int
    multiplier: float  # of hash tables: how many times as many places as entries
    has_words: bool
    counts: list[int]  # of n-grams of 1, 2, 3, ... words

    @property
    def is_trie(self) -> bool:
        """Else hash tables."""
        return self.kind in (PLAIN, QUANTISED, ARRAY, QUANTISED_ARRAY)

    @property
    def bytes(self) -> int:
        """Its length: the vocabulary begins behind it."""
        return -(-(SANITY_BYTES + PARAMETERS.size + 8 * len(self.counts)) // 8) * 8


def read_kenlm_header(data: np.ndarray) -> KenlmHeader:
    """The header of a file's uint8 [bytes].

    Raises:
        ValueError: damaged or truncated.
    """
    start = SANITY_BYTES + PARAMETERS.size
    if len(data) < start:
        raise ValueError(f"it ends after {len(data)} bytes")
    order, multiplier, kind, has_words, _ = PARAMETERS.unpack(data[SANITY_BYTES:start].tobytes())
    if kind not in range(QUANTISED_ARRAY + 1):
        raise ValueError(f"it is of type {kind}, which KenLM does not have")
    if not 2 <= order <= MAX_ORDER:
        raise ValueError(f"n-grams of {order} words; there are 2 to {MAX_ORDER}")
    if not 1 <= multiplier <= MAX_MULTIPLIER:
        raise ValueError(f"a hash table's size is multiplied by {multiplier:g}")
    if len(data) < start + 8 * order:
        raise ValueError(f"it ends after {len(data)} bytes")
    counts = np.frombuffer(data, "<u8", order, start).tolist()
    # No n-gram has less than a bit; so all sizes that follow from the counts are small numbers.
    if not 1 <= counts[0] < 2**31 or max(counts) > 8 * len(data):
        raise ValueError(f"it says that it has {counts} n-grams, in {len(data)} bytes")
    return KenlmHeader(kind, multiplier, has_words, counts)


def check_hash_tables(data: np.ndarray, header: KenlmHeader) -> None:
    """Checks what KenLM follows in a file of hash tables: that they end within the file, that each
    has an empty place, at which a search for what is not there ends, and the words' numbers.

    Raises:
        ValueError: damaged or truncated.
    """
    weights = 12 if header.kind == REST_HASHED else 8
    at = header.bytes + 8
    words = _table(data, at, header.counts[0], header.multiplier, 12)
    at += words.nbytes
    numbers = np.ascontiguousarray(words["rest"]).view("<u4")
    if int(numbers.max(initial=0)) > header.counts[0]:
        raise ValueError("a word has a number that there is not")
    at += weights * (header.counts[0] + 1)
    for length, count in enumerate(header.counts[1:], start=2):
        entry_bytes = 12 if length == len(header.counts) else 8 + weights
        at += _table(data, at, count, header.multiplier, entry_bytes).nbytes


def _table(
    data: np.ndarray, start: int, count: int, multiplier: float, entry_bytes: int
) -> np.ndarray:
    """The entries of a hash table: a key, which is 0 where the place is empty, and the rest."""
    # KenLM multiplies in float32.
    wanted = float(np.float32(multiplier) * np.float32(count))
    places = max(count + 1, math.floor(wanted))
    if start + places * entry_bytes > len(data):
        raise ValueError(f"a hash table of {places} places lies beyond its end")
    kind = np.dtype([("key", "<u8"), ("rest", f"V{entry_bytes - 8}")])
    entries = np.frombuffer(data, kind, places, start)
    if entries["key"].all():
        raise ValueError("a hash table has no empty place")
    return entries
