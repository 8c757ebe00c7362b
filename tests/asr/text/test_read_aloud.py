"""What is written is what was said: each written token, read aloud, is the words it stands for."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.text.numbers import written_forms
from tests.asr.text.read_aloud import is_read_as
from tests.asr.text.test_numbers import NUMBER_WORDS, OTHER_WORDS, PAIRS

# Words between which the rules divide numbers, names, dates and addresses.
MORE_WORDS = (  # noqa: SIM905
    "thirty forty seven eleven nine four sevens twenties oh o double point dot at and a the two "
    "dollar cents century february june second first third ninth sixty hundred thousand million "
    "days minutes men street boeing pin zero com gmail dash slash from between number r d k "
    "quarters eighths seconds day percent euros yen minus noon vision friday elizabeth"
).split()
TEXTS = st.lists(
    st.one_of(*(st.sampled_from(words) for words in (NUMBER_WORDS, OTHER_WORDS, MORE_WORDS))),
    max_size=14,
)


@settings(max_examples=400)
@given(TEXTS)
def test_what_is_written_was_said(words: list[str]) -> None:
    forms = written_forms(words)
    assert list(chain.from_iterable(words[form.first : form.end] for form in forms)) == words
    for form in forms:
        said = words[form.first : form.end]
        assert is_read_as(form.text, said), (said, form.text, words)


@pytest.mark.parametrize("spoken", [spoken for spoken, _ in PAIRS])
def test_pairs_are_written_as_said(spoken: str) -> None:
    test_what_is_written_was_said.hypothesis.inner_test(spoken.split())


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("205", "twenty five"),
        ("at2.com", "at two"),
        ("120", "one twenty first"),
        ("123", "oh one two three"),
        ("III", "three thousand"),
        ("$20.10", "twenty dollars"),
        ("1,250", "one thousand two hundred"),
        ("747", "seven forty sevens"),
        ("9/11", "nine eleven people"),
    ],
)
def test_the_reader_hears_a_fault(text: str, spoken: str) -> None:
    assert not is_read_as(text, spoken.split())
