"""Written sentences as spoken words with marks and case."""

from __future__ import annotations

import time

import pytest

from asr.text.normalise import normalise
from asr.text.punctuation import Case
from training.language_model.spoken_forms import spoken_form
from training.punctuation.marked_text import marked_words

LETTERS = {Case.LOWER: "", Case.CAPITAL: "^", Case.UPPER: "^^", Case.MIXED: "~"}


def shown(line: str) -> str | None:
    """word^, for a Capital word with a comma, ^^ for UPPER, ~ for mixed."""
    words = marked_words(line)
    return words and " ".join(w.word + LETTERS[w.case] + w.mark.text for w in words)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Yes, I know.", "yes^, i^ know."),
        ("Is it NASA's iPhone?", "is^ it nasa's^^ iphone~?"),
        ('"Stop!" he said.', "stop^! he said."),
        ("Mr. O'Brien left; nobody saw it.", "mister o'brien~ left, nobody saw it."),
        ("It is well-known -- isn't it?", "it^ is well known, isn't it?"),
        ("We waited... and left.", "we^ waited, and left."),
        ("In the U.S. it rains.", "in^ the u^ s^ it rains."),
        (
            "On March 3, 2024: 25 people paid $1,250.",
            "on^ march^ third, twenty twenty four, twenty five people paid one thousand two "
            "hundred and fifty dollars.",
        ),
        ("No mark at the end", None),
        ("How To Make A Cake At Home.", None),  # a heading: its capitals say nothing
        ("x = y[3] + z.", None),
        ("", None),
        ("...", None),
    ],
)
def test_words_with_marks_and_case(written: str, expected: str | None) -> None:
    assert shown(written) == expected


@pytest.mark.parametrize(
    "line", ["He left at 5 p.m. on May 3, 1999.", "A, b; c: d - e!", "It's O'Neill's 2nd café."]
)
def test_the_words_are_those_of_the_spoken_form(line: str) -> None:
    words = marked_words(line)
    assert words is not None
    spoken = spoken_form(line)
    assert spoken is not None
    assert [word.word for word in words] == spoken.split()
    assert all(normalise(word.word) == word.word for word in words)


def test_a_long_line_takes_no_long_time() -> None:
    started_at = time.process_time()
    for line in ("a" * 50_000 + "#.", "a," * 20_000 + "\x00.", "'" * 30_000, "- " * 20_000 + "x."):
        marked_words(line)
    assert time.process_time() - started_at < 5
