"""Names of files as they are shown to people: a name may hold any character but a slash."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Control characters, ends of lines and paragraphs, and what turns the direction of writing.
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def in_one_line(text: str) -> str:
    r"""A name, or a message with names in it, that changes neither line nor terminal: \x1b for an
    escape, \n for a new line, as bytes that are no text are shown."""
    return _NOT_SHOWN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def some_in_one_line(names: Sequence[str], most: int) -> str:
    """The first of many names, and how many there are besides."""
    shown = ", ".join(in_one_line(name) for name in names[:most])
    further = len(names) - most
    return f"{shown} and {further} more" if further > 0 else shown
