"""The header of a KenLM binary, and checks that the file has the parts that it names.

KenLM trusts a file: a damaged count or hash table makes it read beyond the file, or search without
end. So the sizes in a file are checked here before KenLM or asr/language_model/_kenlm_scorer.pyx
uses it (format 5: lm/binary_format.cc, vocab.hh and search_hashed.hh).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

SANITY_BYTES = 88  # the magic line, and numbers that show the byte order
PARAMETERS = struct.Struct("<B3xfI?3xI")  # order, probing multiplier, type, words at the end
HASHED, REST_HASHED = 0, 1  # types of hash tables
PLAIN, QUANTISED, ARRAY, QUANTISED_ARRAY = 2, 3, 4, 5  # types of tries
MAX_ORDER = 6  # KenLM's own limit
MAX_MULTIPLIER = 1_000.0  # slots of a hash table for each entry; KenLM's default is 1.5


@dataclass(frozen=True)
class KenlmHeader:
    """The parameters of a file."""

    kind: int
    multiplier: float  # slots of a hash table for each entry
    has_words: bool
    counts: list[int]  # of n-grams of 1, 2, 3, ... words

    @property
    def is_trie(self) -> bool:
        """Whether the file is a trie; if not, it has hash tables."""
        return self.kind in (PLAIN, QUANTISED, ARRAY, QUANTISED_ARRAY)

    @property
    def bytes(self) -> int:
        """The length of the header. The vocabulary follows it."""
        return -(-(SANITY_BYTES + PARAMETERS.size + 8 * len(self.counts)) // 8) * 8


def read_kenlm_header(data: np.ndarray) -> KenlmHeader:
    """The header of a file.

    Args:
        data: uint8 [bytes].

    Raises:
        ValueError: damaged or truncated.
    """
    start = SANITY_BYTES + PARAMETERS.size
    if len(data) < start:
        raise ValueError(f"it ends after {len(data)} bytes")
    order, multiplier, kind, has_words, _ = PARAMETERS.unpack(data[SANITY_BYTES:start].tobytes())
    if kind not in range(QUANTISED_ARRAY + 1):
        raise ValueError(f"its type is {kind}, which KenLM does not have")
    if not 2 <= order <= MAX_ORDER:
        raise ValueError(f"n-grams of {order} words; there are 2 to {MAX_ORDER}")
    if not 1 <= multiplier <= MAX_MULTIPLIER:
        raise ValueError(f"a hash table with {multiplier:g} slots for each entry")
    if len(data) < start + 8 * order:
        raise ValueError(f"it ends after {len(data)} bytes")
    counts = np.frombuffer(data, "<u8", order, start).tolist()
    # An n-gram has at least one bit. So no size that follows from the counts overflows.
    if not 1 <= counts[0] < 2**31 or max(counts) > 8 * len(data):
        raise ValueError(f"its header says that it has {counts} n-grams, in {len(data)} bytes")
    return KenlmHeader(kind, multiplier, has_words, counts)


def check_hash_tables(data: np.ndarray, header: KenlmHeader) -> None:
    """Checks a file of hash tables: each lies within the file and has an empty slot, where the
    search for a missing key ends, and the numbers of words exist.

    Raises:
        ValueError: damaged or truncated.
    """
    weights = 12 if header.kind == REST_HASHED else 8
    at = header.bytes + 8
    words = _table(data, at, header.counts[0], header.multiplier, 12)
    at += words.nbytes
    numbers = np.ascontiguousarray(words["rest"]).view("<u4")
    if int(numbers.max(initial=0)) > header.counts[0]:
        raise ValueError("a word has a number that does not exist")
    at += weights * (header.counts[0] + 1)
    for length, count in enumerate(header.counts[1:], start=2):
        entry_bytes = 12 if length == len(header.counts) else 8 + weights
        at += _table(data, at, count, header.multiplier, entry_bytes).nbytes


def _table(
    data: np.ndarray, start: int, count: int, multiplier: float, entry_bytes: int
) -> np.ndarray:
    """The slots of a hash table: a key, which is 0 in an empty slot, and the rest."""
    # KenLM multiplies in float32.
    slots = max(count + 1, math.floor(float(np.float32(multiplier) * np.float32(count))))
    if start + slots * entry_bytes > len(data):
        raise ValueError(f"a hash table of {slots} slots lies beyond its end")
    kind = np.dtype([("key", "<u8"), ("rest", f"V{entry_bytes - 8}")])
    table = np.frombuffer(data, kind, slots, start)
    if table["key"].all():
        raise ValueError("a hash table has no empty slot")
    return table
