"""How well marks and capitals are found: precision, recall and F1 of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from asr.text.punctuation import CONTEXT_WORDS, Case, Mark, Punctuation
from training.punctuation.corpus import MarkedText
from training.punctuation.pauses import drawn_pauses

CAPITALS = "capitals"
UTTERANCE_WORDS = (6, 60)
SENTENCE_END_SHARE = 0.75


@dataclass(frozen=True)
class F1:
    """One kind of mark, or capitals; precision and recall in per cent."""

    kind: str
    there: int  # in the reference
    found: int  # by the network
    right: int  # both

    @property
    def precision(self) -> float:
        """How many of those found are right."""
        return 100 * self.right / max(1, self.found)

    @property
    def recall(self) -> float:
        """How many of those in the reference are found."""
        return 100 * self.right / max(1, self.there)

    @property
    def value(self) -> float:
        """The harmonic mean of precision and recall."""
        return 200 * self.right / max(1, self.there + self.found)

    def line(self) -> str:
        """For people."""
        return (
            f"{self.kind}: F1 {self.value:.1f} %, precision {self.precision:.1f} %, recall "
            f"{self.recall:.1f} % ({self.there} in the reference)"
        )


def f1_table(pairs: Iterable[tuple[Mark, Mark]], capitals: Iterable[tuple[bool, bool]]) -> list[F1]:
    """F1 of each mark and of capitals.

    Args:
        pairs: (reference, network's) mark after each word.
        capitals: (reference, network's) whether a word has a capital letter.
    """
    there, found, right = Counter[str](), Counter[str](), Counter[str]()
    for said, put in pairs:
        there[said.name] += 1
        found[put.name] += 1
        right[said.name] += said == put
    for wanted, written in capitals:
        there[CAPITALS] += wanted
        found[CAPITALS] += written
        right[CAPITALS] += wanted and written
    names = [mark.name for mark in Mark if mark != Mark.NONE] + [CAPITALS]
    return [F1(name, there[name], found[name], right[name]) for name in names]


def evaluate_text(
    model: Punctuation, text: MarkedText, words: int = 100_000, pauses: bool = False, seed: int = 1
) -> list[F1]:
    """Divide a text into utterances, as endpoints do, and compare the network's marks.

    Args:
        words: how many words of the text to take.
        pauses: whether pauses are drawn as recordings have them; otherwise they are unknown.
    """
    random = np.random.default_rng(seed)
    marks: list[tuple[Mark, Mark]] = []
    capitals: list[tuple[bool, bool]] = []
    starts = text.starts
    for first, last in _utterances(text, min(words, len(text)), random):
        context = max(0, first - CONTEXT_WORDS)
        its_marks = text.marks[context:last]
        seconds = drawn_pauses(its_marks, random).tolist() if pauses else [None] * len(its_marks)
        spoken = [text.vocabulary[place] for place in text.words[context:last]]
        is_start = bool(starts[first])
        for at, found in enumerate(model.mark(spoken, seconds)[first - context :], first):
            marks.append((Mark(int(text.marks[at])), found.mark))
            said = bool(starts[at]) or text.cases[at] != Case.LOWER
            capitals.append((said, is_start or found.case != Case.LOWER))
            is_start = found.mark.ends_sentence
    return f1_table(marks, capitals)


def _utterances(
    text: MarkedText, words: int, random: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """First and last place of neighbouring utterances; most end where a sentence ends."""
    first = 0
    while first < words:
        low, high = UTTERANCE_WORDS
        last = first + round(float(np.exp(random.uniform(np.log(low), np.log(high)))))
        if random.random() < SENTENCE_END_SHARE:
            ends = np.flatnonzero(text.marks[last - 1 : last + 200] >= Mark.STOP)
            last += int(ends[0]) if len(ends) else 0
        yield first, min(last, len(text))
        first = last
