"""Read the n-grams of model files: KenLM tries (layout: asr/language_model/kenlm_file.py) and ARPA
files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from asr.errors import DataError
from asr.language_model.kenlm_file import KenlmTrie, Level, map_kenlm_trie
from asr.language_model.ngram import LanguageModel
from training.language_model.ngrams import NGrams, Rows, read_arpa


def is_ngram_file(path: Path) -> bool:
    """Whether the name is that of a KenLM trie (.bin) or an ARPA file (.arpa, .arpa.gz)."""
    return path.suffix == ".bin" or ".arpa" in path.suffixes


def read_ngrams(path: Path, numbers: dict[str, int]) -> NGrams:
    """The n-grams of an ARPA file (.arpa, .arpa.gz) or a KenLM trie; new words are added to
    `numbers`.

    Raises:
        ModelError, DataError: missing, damaged or of another format.
    """
    is_arpa = ".arpa" in path.suffixes and path.suffix != ".bin"
    return (read_arpa if is_arpa else read_kenlm_trie)(path, numbers)


def read_kenlm_trie(path: str | os.PathLike[str], numbers: dict[str, int]) -> NGrams:
    """The n-grams of a KenLM trie; new words are added to `numbers`.

    Raises:
        ModelError: missing, or no KenLM binary.
        DataError: damaged, a hash table instead of a trie, or without its words.
    """
    LanguageModel(path)  # raises ModelError for other files
    try:
        return _ngrams(map_kenlm_trie(path), numbers)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path}: no readable KenLM trie ({error})") from None


def _ngrams(trie: KenlmTrie, numbers: dict[str, int]) -> NGrams:
    values = [10.0 ** trie.unigrams["probability"][:-1].astype(float)]
    weights = [10.0 ** trie.unigrams["backoff"][:-1].astype(float)]
    rows: list[Rows] = [np.arange(len(trie.words), dtype=np.int32)[:, None]]
    next_places = trie.unigrams["next"].astype(np.int64)
    for level in trie.levels:
        # Row k of the level above has the entries from next_places[k] to next_places[k + 1].
        parents = np.repeat(np.arange(len(next_places) - 1), np.diff(next_places))
        if len(parents) != level.count:
            raise ValueError("its pointers do not fit its counts")
        words, value, weight, next_places = _entries(trie.data, level)
        rows.append(np.column_stack([words.astype(np.int32), rows[-1][parents]]))
        values.append(10.0**value)
        weights.append(10.0**weight)
    number_of = np.array([numbers.setdefault(w, len(numbers)) for w in trie.words], np.int32)
    return NGrams(list(numbers), [number_of[r] for r in rows], values, weights)


def _entries(data: np.ndarray, level: Level) -> tuple[np.ndarray, ...]:
    """Words, log10 of probabilities, log10 of back-off weights, and first entries below them."""
    count, weight = level.count, np.zeros(level.count)
    places = 8 * level.at + np.arange(count + 1, dtype=np.int64) * level.bits
    words = _bits(data, places[:-1], level.word_bits)
    places += level.word_bits
    if level.values is not None:  # the weight comes first
        value = level.values.astype(float)[
            _bits(data, places[:-1] + level.weight_bits, level.value_bits)
        ]
        if level.weights is not None:
            weight = level.weights.astype(float)[_bits(data, places[:-1], level.weight_bits)]
    else:
        value = _floats(_bits(data, places[:-1], 31) | (1 << 31))
        if level.weight_bits:
            weight = _floats(_bits(data, places[:-1] + 31, 32))
    next_places = _bits(data, places + level.value_bits + level.weight_bits, level.inline_bits)
    ranks = np.searchsorted(level.high, np.arange(count + 1), "right") - 1
    return words, value, weight, next_places | ranks << level.inline_bits


def _bits(data: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """Numbers of `count` bits (at most 57) at these bit offsets."""
    octets = data[(places >> 3)[:, None] + np.arange(8)]
    packed = octets.view("<u8")[:, 0] >> (places & 7).astype(np.uint64)
    return (packed & np.uint64((1 << count) - 1)).astype(np.int64)


def _floats(bits: np.ndarray) -> np.ndarray:
    return bits.astype(np.uint32).view(np.float32).astype(float)
