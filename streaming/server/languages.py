"""Which languages a client may ask for: this model hears English."""

from __future__ import annotations

import re

_ENGLISH = re.compile(r"(auto|(en|eng|english)([-_][a-z0-9]+)*)?", re.IGNORECASE)


def is_english(language: str) -> bool:
    """English in any spelling and of any country (en, EN, en-US, en_GB, english); nothing and
    "auto" leave the choice to the server."""
    return bool(_ENGLISH.fullmatch(language.strip()))
