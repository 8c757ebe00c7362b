"""The alphabets of the acoustic model."""

from __future__ import annotations

from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS


def test_alphabets() -> None:
    assert len(PHONE_TOKENS) == 40
    assert len(LETTER_TOKENS) == 29
