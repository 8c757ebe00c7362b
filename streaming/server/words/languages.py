"""The languages that a client may request; the model recognises English."""

from __future__ import annotations

import re

_ENGLISH = re.compile(r"(auto|(en|eng|english)([-_][a-z0-9]+)*)?", re.IGNORECASE)


def is_english(language: str) -> bool:
    """Whether the language is English of any country (en, EN, en-US, en_GB, english). An empty
    string and "auto" leave the choice to the server."""
    return bool(_ENGLISH.fullmatch(language.strip()))
