"""Spoken numbers, dates, money and addresses become what people write; nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from asr.formats import to_json, to_srt, to_text, to_vtt
from asr.text.normalise import normalise
from asr.text.numbers import write, written_forms
from asr.text.written import with_written_forms
from asr.transcript import Segment, Transcript, Word

PAIRS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("written_forms.tsv").read_text().splitlines()
]
WORDS = st.lists(
    st.sampled_from(
        [
            "the",
            "a",
            "i",
            "one",
            "two",
            "five",
            "ten",
            "twenty",
            "thirty",
            "hundred",
            "thousand",
            "million",
            "point",
            "percent",
            "dollars",
            "cents",
            "march",
            "may",
            "third",
            "first",
            "of",
            "and",
            "oh",
            "double",
            "dot",
            "com",
            "at",
            "john",
            "slash",
            "a",
            "m",
            "p",
            "o'clock",
            "half",
            "quarter",
            "minus",
            "to",
            "henry",
            "world",
            "war",
            "b",
            "c",
            "people",
        ]
    ),
    max_size=12,
)


@pytest.mark.parametrize(("spoken", "written"), PAIRS, ids=[spoken for spoken, _ in PAIRS])
def test_pairs(spoken: str, written: str) -> None:
    assert write(spoken.split()) == written


@given(WORDS)
def test_each_word_belongs_to_one_written_token(words: list[str]) -> None:
    forms = written_forms(words)
    assert [form.first for form in forms[1:]] == [form.end for form in forms[:-1]]
    assert all(form.first < form.end and form.text for form in forms)
    assert not forms or (forms[0].first, forms[-1].end) == (0, len(words))


@given(st.integers(10, 999_999_999))
def test_cardinals_come_back(number: int) -> None:
    spoken = normalise(num2words(number).replace("-", " "))
    expected = f"{number:,}"
    if number % 1_000_000 == 0:
        expected = f"{number // 1_000_000} million"
    if 2000 <= number < 2100 or (1300 <= number < 2100 and number % 100 == 0 and number >= 2000):
        expected = str(number)
    assert write(spoken.split()) == expected


@given(st.integers(10, 999))
def test_ordinals_come_back(number: int) -> None:
    spoken = normalise(num2words(number, to="ordinal").replace("-", " "))
    assert write(spoken.split()).rstrip("stndrh") == str(number)


@given(st.integers(1300, 2099))
def test_years_come_back(number: int) -> None:
    spoken = normalise(num2words(number, to="year").replace("-", " "))
    assert write(["in", *spoken.split()]) == f"in {number}"


@given(st.integers(1, 12), st.integers(0, 59), st.sampled_from(["a m", "p m"]))
def test_times_come_back(hour: int, minute: int, half: str) -> None:
    words = [num2words(hour)]
    if minute:
        words += (["oh"] if minute < 10 else []) + num2words(minute).replace("-", " ").split()
    written = f"{hour}:{minute:02}" if minute else str(hour)
    assert write([*words, *half.split()]) == f"{written} {half.replace(' ', '').upper()}"


def test_a_written_token_has_the_times_of_its_words() -> None:
    words = tuple(
        Word(text, 0.5 * at, 0.5 * at + 0.4, 1 - at / 10)
        for at, text in enumerate(["pay", "one", "thousand", "two", "hundred", "fifty", "dollars"])
    )
    transcript = with_written_forms(Transcript((Segment(words),), 4.0))
    (segment,) = transcript.segments
    assert [word.word for word in segment.written] == ["pay", "$1,250"]
    money = segment.written[1]
    assert (money.start, money.end, money.confidence) == (0.5, 3.4, 0.4)
    record = json.loads(to_json(transcript, "a.wav"))
    assert record["text"].endswith("fifty dollars") and record["formatted"] == "pay $1,250"
    assert len(record["words"]) == 7
    assert to_text(transcript) == "pay $1,250\n"
    assert "pay $1,250" in to_srt(transcript) and "pay $1,250" in to_vtt(transcript)
