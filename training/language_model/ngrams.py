"""N-grams with their probabilities and back-off weights, as arrays; ARPA files."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from asr.errors import DataError

Rows = np.ndarray  # int32 [n-grams, words]: the numbers of their words
MIN_LOG10 = -30.0
MIN_LEFT = 1e-4  # probability that a history leaves to words without an n-gram


@dataclass
class NGrams:
    """A back-off model (S. Katz 1987): the probability of a missing n-gram is that of its last
    words times the back-off weight of its first."""

    words: list[str]  # by number; several models may share one list
    rows: list[Rows]  # by length
    probabilities: list[np.ndarray]  # of each row's last word after the others
    backoffs: list[np.ndarray]  # of each row as a history; the longest have none

    @property
    def order(self) -> int:
        """Words of the longest n-grams."""
        return len(self.rows)

    def summary(self) -> str:
        """The number of n-grams of each length, for people."""
        return " + ".join(str(len(rows)) for rows in self.rows) + " n-grams"

    def find(self, rows: Rows) -> np.ndarray:
        """The index of each n-gram among those of its length, -1 if it is missing."""
        length = rows.shape[1]
        if length > self.order:
            return np.full(len(rows), -1)
        keys, places = self._index[length - 1]
        wanted = self._keys(rows)
        at = np.searchsorted(keys, wanted).clip(max=max(0, len(keys) - 1))
        found = (wanted >= 0) & (keys[at] == wanted) if len(keys) else np.zeros(len(rows), bool)
        return np.where(found, places[at] if len(keys) else -1, -1)

    def probability(self, rows: Rows) -> np.ndarray:
        """Of each row's last word after the others; 0 for an unknown word."""
        place = self.find(rows)
        known = place >= 0
        result = np.zeros(len(rows))
        if rows.shape[1] <= self.order:
            result[known] = self.probabilities[rows.shape[1] - 1][place[known]]
        if rows.shape[1] > 1 and not known.all():
            rest = rows[~known]
            result[~known] = self.backoff(rest[:, :-1]) * self.probability(rest[:, 1:])
        return result

    def backoff(self, rows: Rows) -> np.ndarray:
        """The back-off weight of each row; 1 for a missing n-gram."""
        if rows.shape[1] >= self.order:
            return np.ones(len(rows))
        place = self.find(rows)
        return np.where(place >= 0, self.backoffs[rows.shape[1] - 1][place], 1.0)

    def only(self, words: set[str]) -> NGrams:
        """The n-grams of these words and the special tokens, with unchanged values."""
        wanted = np.array([word in words or word.startswith("<") for word in self.words])
        kept = [wanted[rows].all(1) for rows in self.rows]
        return NGrams(
            self.words,
            [rows[keep] for rows, keep in zip(self.rows, kept)],
            [values[keep] for values, keep in zip(self.probabilities, kept)],
            [values[keep] for values, keep in zip(self.backoffs, kept)],
        )

    @cached_property
    def _index(self) -> list[tuple[np.ndarray, np.ndarray]]:
        self.__dict__["_index"] = index = []  # the keys of a length need the lengths before it
        for rows in self.rows:
            keys = self._keys(rows)
            if (keys < 0).any():
                lost = " ".join(self.words[number] for number in rows[np.argmin(keys)])
                raise DataError(f"n-gram '{lost}' has no entry for its first words")
            places = np.argsort(keys, kind="stable")
            index.append((keys[places], places))
        return index

    def _keys(self, rows: Rows) -> np.ndarray:
        """A unique number for each row, from the index of its first words and its last word."""
        if rows.shape[1] == 1:
            return rows[:, 0].astype(np.int64)
        starts = self.find(rows[:, :-1])
        return np.where(starts >= 0, starts * len(self.words) + rows[:, -1], -1)


def read_arpa(path: str | os.PathLike[str], numbers: dict[str, int]) -> NGrams:
    """The n-grams of an ARPA file (plain or .gz); new words are added to `numbers`.

    Raises:
        DataError: missing, or no ARPA file.
    """
    opener = gzip.open if str(path).endswith(".gz") else open
    tables: list[tuple[list[list[int]], list[float], list[float]]] = []
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for line in file:
                if line.startswith("\\") and line.rstrip().endswith("-grams:"):
                    tables.append(([], [], []))
                elif tables and line.strip() and not line.startswith("\\"):
                    log10, text, *weight = line.rstrip("\n").split("\t")
                    rows, values, weights = tables[-1]
                    rows.append([numbers.setdefault(w, len(numbers)) for w in text.split(" ")])
                    values.append(float(log10))
                    weights.append(float(weight[0]) if weight else 0.0)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: no ARPA file, or damaged ({error})") from None
    if not tables or not all(rows for rows, _, _ in tables):
        raise DataError(f"{path}: no ARPA file: it has no n-grams")
    try:
        arrays = [np.array(rows, np.int32) for rows, _, _ in tables]
    except ValueError:
        raise DataError(f"{path}: n-grams whose lengths differ from their heading") from None
    return NGrams(
        list(numbers),
        arrays,
        [10.0 ** np.array(values) for _, values, _ in tables],
        [10.0 ** np.array(weights) for _, _, weights in tables],
    )


def write_arpa(model: NGrams, path: Path) -> None:
    """An ARPA file, for KenLM's build_binary."""
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={len(rows)}\n" for n, rows in enumerate(model.rows, start=1))
        for length in range(1, model.order + 1):
            file.write(f"\n\\{length}-grams:\n")
            file.writelines(_lines(model, length))
        file.write("\n\\end\\\n")


def _lines(model: NGrams, length: int) -> Iterator[str]:
    words = np.array(model.words, object)
    with np.errstate(divide="ignore"):
        values = np.log10(model.probabilities[length - 1]).clip(min=MIN_LOG10)
        weights = np.log10(model.backoffs[length - 1]).clip(min=MIN_LOG10)
    for row, value, weight in zip(model.rows[length - 1], values.tolist(), weights.tolist()):
        text = " ".join(words[row])
        yield f"{value:.6f}\t{text}" + (f"\t{weight:.6f}\n" if length < model.order else "\n")
