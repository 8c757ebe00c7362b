"""One normalisation of text, and the two alphabets that the acoustic model writes in.

Everything that reads a transcript (training, evaluation, language models, custom words) passes it
through `normalise`, so that two texts are equal when a listener would call them equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

BLANK = "-"  # CTC's "nothing new here"; index 0 in both alphabets
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

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'"})
_NOT_SPELLED = re.compile(r"[^a-z' ]+")
_STRAY_APOSTROPHE = re.compile(r"(?<![a-z])'+(?![a-z])|''+")
_SPACES = re.compile(r"\s+")


def normalise(text: str) -> str:
    """Lower case a to z and apostrophe, single spaces; accents are taken off, all else is a space.

    >>> normalise("Don’t STOP -- café, please!")
    "don't stop cafe please"
    """
    text = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).lower()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = _STRAY_APOSTROPHE.sub(" ", _NOT_SPELLED.sub(" ", text))
    return _SPACES.sub(" ", text).strip()


def unspellable(text: str) -> list[str]:
    """What `normalise` would lose of what a reader speaks aloud: digits and foreign letters."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).lower()
    lost = {c for c in decomposed if c.isalnum() and not ("a" <= c <= "z")}
    return sorted(lost)


def invisible(text: str) -> str:
    """The first character that cannot be seen, such as a zero-width space, by its name; "" where
    there is none."""
    if text.isascii() and text.isprintable():
        return ""
    for character in text:
        if unicodedata.category(character) in ("Cf", "Cc") and not character.isspace():
            name = unicodedata.name(character, "a control character").lower()
            return f"U+{ord(character):04X} ({name})"
    return ""


def letter_ids(text: str) -> list[int]:
    """Letter tokens of a normalised text, words divided by the word boundary."""
    return [_LETTER_ID[letter] for letter in text.replace(" ", WORD_BOUNDARY)]


def phone_ids(phones: Iterable[str]) -> list[int]:
    """Phone tokens of a pronunciation."""
    return list(map(_PHONE_ID.__getitem__, phones))


_LETTER_ID = {letter: index for index, letter in enumerate(LETTER_TOKENS)}
_PHONE_ID = {phone: index for index, phone in enumerate(PHONE_TOKENS)}
