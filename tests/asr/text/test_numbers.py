"""Spoken numbers, dates, money and addresses become what people write; nothing else changes."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from asr.formats import to_json, to_srt, to_text, to_vtt
from asr.text.normalise import normalise
from asr.text.numbers import may_be_one_number, write, written_forms
from asr.text.written import with_written_forms
from asr.transcript import Segment, Transcript, Word

PAIRS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("written_forms.tsv").read_text().splitlines()
]
NUMBER_WORDS = [
    *(num2words(value) for value in range(21)),
    *"thirty forty fifty sixty seventy eighty ninety hundred thousand million oh double".split(),  # noqa: SIM905
    *"first second third fifth tenth twelfth twentieth sixties nineties".split(),  # noqa: SIM905
]
OTHER_WORDS = (  # noqa: SIM905
    "the a i of and to or at in by point percent dollars dollar cents march may dot com john slash "
    "m p o'clock half quarter thirds minus plus times equals is past henry king world war b c d "
    "people years year old code number foot boeing street main hours morning ago vision no out page"
).split()
WORDS = st.lists(
    st.one_of(st.sampled_from(NUMBER_WORDS), st.sampled_from(OTHER_WORDS)), max_size=12
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


@given(WORDS)
def test_other_words_stay(words: list[str]) -> None:
    """A token of one word that is no number, month or letter is that word."""
    for form in written_forms(words):
        said = words[form.first : form.end]
        if len(said) == 1 and said[0] in OTHER_WORDS:
            assert form.text.lower() == said[0]


@given(st.lists(st.sampled_from([num2words(value) for value in range(1, 100)]), min_size=2))
def test_numbers_that_are_joined_are_in_one_form(numbers: list[str]) -> None:
    texts = write(" or ".join(numbers).replace("-", " ").split()).split(" or ")
    assert len({text.isdigit() for text in texts}) == 1


@given(st.integers(1, 90), st.integers(3, 9), st.sampled_from([-1, 1]))
def test_counting_is_no_code(start: int, length: int, step: int) -> None:
    numbers = [start + step * k for k in range(length) if start + step * k > 0]
    if len(numbers) < 3:
        return
    spoken = " ".join(num2words(number) for number in numbers).replace("-", " ")
    assert write(spoken.split()) == " ".join(map(str, numbers))


@given(st.text("0123456789", min_size=3, max_size=9), st.sampled_from(["zero", "oh"]))
def test_a_code_keeps_its_digits(code: str, zero: str) -> None:
    spoken = " ".join(zero if digit == "0" else num2words(int(digit)) for digit in code)
    written = write(f"the code is {spoken}".split())
    assert written.removeprefix("the code is ").replace("-", "") == code


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


KINDS: dict[str, Callable[[random.Random], list[str]]] = {
    "digits": lambda draw: [draw.choice(["one", "oh", "five"])],
    "rows before hundred": lambda draw: ["one"] * draw.randint(50, 900) + ["hundred"],
    "one number without end": lambda draw: ["one", "hundred"],
    "equal numbers": lambda draw: ["ten"],
    "numbers": lambda draw: [draw.choice(NUMBER_WORDS)],
    "numbers and words": lambda draw: [draw.choice(NUMBER_WORDS + OTHER_WORDS)],
    "letters": lambda draw: draw.choice([["b"], ["b's"]]),
    "names with dots": lambda draw: ["x", "dot"] * draw.randint(50, 900) + ["y"],
    "words": lambda draw: ["the", "cat", "sat", "on", "the", "mat"],
}


@pytest.mark.minutes
@pytest.mark.parametrize("kind", KINDS)
def test_a_word_costs_the_same_in_a_long_segment(kind: str) -> None:
    draw, words = random.Random(kind), []
    while len(words) < 20_000:
        words += KINDS[kind](draw)
    words = words[:20_000]
    parts = [words[at : at + 1000] for at in range(0, len(words), 1000)]
    start = time.process_time()
    for part in parts:
        written_forms(part)
    in_parts_s = time.process_time() - start
    start = time.process_time()
    written_forms(words)
    assert time.process_time() - start < 4 * in_parts_s


@pytest.mark.parametrize("words", ["hundred twenty", "fifty dollars", "three point", "and five"])
def test_words_of_one_number(words: str) -> None:
    assert may_be_one_number(*words.split())


@pytest.mark.parametrize("words", ["hundred people", "the five", "and then", "five houses"])
def test_words_of_no_common_number(words: str) -> None:
    assert not may_be_one_number(*words.split())
