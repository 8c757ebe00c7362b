"""The normalisation of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.text.alphabet import LETTER_TOKENS, letter_ids
from asr.text.normalise import normalise, unspellable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Don’t STOP!", "don't stop"),
        ("  well--known\tcafé ", "well known cafe"),
        ("'quoted' rock 'n' roll", "'quoted' rock 'n' roll"),
        ("' '' --", ""),
        ("", ""),
    ],
)
def test_normalise(written: str, spoken: str) -> None:
    assert normalise(written) == spoken


@given(st.text())
def test_normalised_text_stays_as_it_is_and_can_be_spelled(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert "".join(LETTER_TOKENS[i] for i in letter_ids(once)).replace("|", " ") == once


def test_what_cannot_be_spelled_is_named() -> None:
    assert unspellable("Route 66, naïve Привет") == sorted("6" + "привет")
    assert unspellable("it's fine, really!") == []
