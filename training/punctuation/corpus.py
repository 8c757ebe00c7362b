"""Texts as arrays of marked words, kept in a file beside the run."""

from __future__ import annotations

import json
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from asr.errors import DataError
from asr.text.punctuation import Case, Mark
from asr.text.sentences import read_lines
from training.punctuation.config import PunctuationConfig, TextPart
from training.punctuation.marked_text import MarkedWord, marked_words

RUN_LINES = 200  # neighbouring lines that are all in training or all held out
MIN_MIXED = 5  # occurrences of a form such as "iPhone" in the texts
FILE = "text.npz"


@dataclass(frozen=True)
class MarkedText:
    """Words in the order of the text, with the mark after each and its case."""

    vocabulary: list[str]  # different words
    words: np.ndarray  # int32 [words], places in the vocabulary
    marks: np.ndarray  # int8 [words]
    cases: np.ndarray  # int8 [words]

    def __len__(self) -> int:
        return len(self.words)

    @property
    def starts(self) -> np.ndarray:
        """bool [words], whether a word starts a sentence: its capital says nothing about it."""
        return np.concatenate([[True], self.marks[:-1] >= Mark.STOP])


@dataclass(frozen=True)
class PunctuationCorpus:
    """The text to train on, the text that is held out, and words such as "iPhone"."""

    train: MarkedText
    held_out: MarkedText
    mixed_forms: dict[str, str]


def read_corpus(
    config: PunctuationConfig, folder: Path, report: Callable[[str], None] = print
) -> PunctuationCorpus:
    """Read the texts, or what an earlier call has kept in the folder.

    Raises:
        DataError: a text is missing or unreadable, or has too few usable lines.
    """
    path, about = folder / FILE, _about(config)
    if path.is_file():
        with np.load(path) as kept:
            if str(kept["about"]) == about:
                return _unpacked(kept)
    train = _Collected({})
    held_out = _Collected(train.numbers)
    number = left_out = used = 0
    for part in config.texts:
        for line in _lines_of(part):
            is_held_out = number // RUN_LINES % config.held_out == config.held_out - 1
            number += 1
            if marked := marked_words(line):
                (held_out if is_held_out else train).add(marked)
                used += 1
            else:
                left_out += bool(line.strip())
    if not train.words or not held_out.words:
        raise DataError(
            f"{config.texts[0].path}: {len(train.words)} usable words to train on and "
            f"{len(held_out.words)} held out are too few; expected sentences with punctuation, and "
            f"at least {config.held_out * RUN_LINES} lines"
        )
    report(f"{used} lines, and {left_out} left out: no final mark, or unclear")
    vocabulary = list(train.numbers)
    corpus = PunctuationCorpus(
        train.text(vocabulary), held_out.text(vocabulary), train.mixed_forms(vocabulary)
    )
    _keep(corpus, about, path)
    return corpus


def _lines_of(part: TextPart) -> Iterator[str]:
    return islice(read_lines(part.path), part.first_line - 1, part.last_line)


def read_text(path: Path) -> MarkedText:
    """A text to measure on.

    Raises:
        DataError: it is missing or unreadable, or has no line that ends with a mark.
    """
    collected = _Collected({})
    for line in read_lines(path):
        if marked := marked_words(line):
            collected.add(marked)
    if not collected.words:
        raise DataError(f"{path}: no line in it that ends with . ? or !")
    return collected.text(list(collected.numbers))


class _Collected:
    """The words of a text while it is read."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self.numbers = numbers  # place of each different word
        self.words, self.marks, self.cases = array("i"), array("b"), array("b")
        self._mixed: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, line: list[MarkedWord]) -> None:
        for word, mark, case, form in line:
            self.words.append(self.numbers.setdefault(word, len(self.numbers)))
            self.marks.append(mark)
            self.cases.append(case)
            if case == Case.MIXED:
                self._mixed[word][form] += 1

    def text(self, vocabulary: list[str]) -> MarkedText:
        return MarkedText(
            vocabulary,
            np.array(self.words, np.int32),
            np.array(self.marks, np.int8),
            np.array(self.cases, np.int8),
        )

    def mixed_forms(self, vocabulary: list[str]) -> dict[str, str]:
        """The most frequent mixed form of each word that has one in most places."""
        counts = np.bincount(np.array(self.words, np.int32), minlength=len(vocabulary))
        found = {}
        for word, forms in self._mixed.items():
            form, count = forms.most_common(1)[0]
            is_usual = 2 * sum(forms.values()) > counts[self.numbers[word]]
            if count >= MIN_MIXED and is_usual and form.lower() == word:
                found[word] = form
        return dict(sorted(found.items()))


def _about(config: PunctuationConfig) -> str:
    """What the kept arrays depend on."""
    sizes = [
        Path(part.path).stat().st_size if Path(part.path).exists() else 0 for part in config.texts
    ]
    return json.dumps(
        [[part.model_dump() for part in config.texts], sizes, config.held_out, RUN_LINES]
    )


def _keep(corpus: PunctuationCorpus, about: str, path: Path) -> None:
    arrays = {
        f"{name}_{kind}": getattr(text, kind)
        for name, text in (("train", corpus.train), ("held_out", corpus.held_out))
        for kind in ("words", "marks", "cases")
    }
    part = path.with_suffix(".part.npz")
    try:
        np.savez(
            part,
            about=about,
            vocabulary="\n".join(corpus.train.vocabulary),
            mixed_forms=json.dumps(corpus.mixed_forms),
            **arrays,
        )
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None


def _unpacked(kept: np.lib.npyio.NpzFile) -> PunctuationCorpus:
    vocabulary = str(kept["vocabulary"]).split("\n")
    train, held_out = (
        MarkedText(vocabulary, *(kept[f"{name}_{kind}"] for kind in ("words", "marks", "cases")))
        for name in ("train", "held_out")
    )
    return PunctuationCorpus(train, held_out, json.loads(str(kept["mixed_forms"])))
