"""The two alphabets of the acoustic model's output layers, phones and letters, and their token ids.

Index 0 of both is the blank of CTC.
"""

from __future__ import annotations

from collections.abc import Iterable

BLANK = "-"
WORD_BOUNDARY = "|"

# CMUdict's phones without stress marks (github.com/cmusphinx/cmudict), in its own order.
PHONES: tuple[str, ...] = tuple(
    (  # noqa: SIM905
        "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
        "V W Y Z ZH"
    ).split()
)
PHONE_TOKENS: tuple[str, ...] = (BLANK, *PHONES)
LETTER_TOKENS: tuple[str, ...] = (BLANK, WORD_BOUNDARY, "'", *"abcdefghijklmnopqrstuvwxyz")


def letter_ids(text: str) -> list[int]:
    """Letter tokens of a normalised text, with the word boundary between words."""
    return [_LETTER_ID[letter] for letter in text.replace(" ", WORD_BOUNDARY)]


def phone_ids(phones: Iterable[str]) -> list[int]:
    """Phone tokens of a pronunciation."""
    return list(map(_PHONE_ID.__getitem__, phones))


_LETTER_ID = {letter: index for index, letter in enumerate(LETTER_TOKENS)}
_PHONE_ID = {phone: index for index, phone in enumerate(PHONE_TOKENS)}
