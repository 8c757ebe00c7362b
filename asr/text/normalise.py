"""The normalisation of text: lower case, a to z and apostrophe, single spaces.

Every reader of a transcript (training, evaluation, language models, custom words) passes it through
`normalise`, so that two texts are equal when a listener would call them equal.
"""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'"})
_NOT_SPELLED = re.compile(r"[^a-z' ]+")
_STRAY_APOSTROPHE = re.compile(r"(?<![a-z])'+(?![a-z])|''+")
_SPACES = re.compile(r"\s+")


def normalise(text: str) -> str:
    """Lower case a to z and apostrophe, single spaces; accents are removed, the rest is a space.

    >>> normalise("Don’t STOP -- café, please!")
    "don't stop cafe please"
    """
    text = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).lower()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = _STRAY_APOSTROPHE.sub(" ", _NOT_SPELLED.sub(" ", text))
    return _SPACES.sub(" ", text).strip()


def unspellable(text: str) -> list[str]:
    """The spoken characters that `normalise` would lose: digits and foreign letters, sorted."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).lower()
    lost = {c for c in decomposed if c.isalnum() and not ("a" <= c <= "z")}
    return sorted(lost)


def invisible(text: str) -> str:
    """The name of the first invisible character, such as a zero-width space; "" without one."""
    if text.isascii() and text.isprintable():
        return ""
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cf", "Cc", "Cs") and not character.isspace():
            nameless = "half a character" if category == "Cs" else "a control character"
            name = unicodedata.name(character, nameless).lower()
            return f"U+{ord(character):04X} ({name})"
    return ""
