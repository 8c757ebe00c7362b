"""What a rule gives: a written form, and its digits where other numbers stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Written(NamedTuple):
    """A written form, and the first word behind those that it stands for."""

    text: str
    end: int
    digits: str = ""  # of a number: its form in digits, which `text` may have already
    ordinal: bool = False  # "third"; ordinals are alike among themselves


def in_digits(text: str, end: int) -> Written:
    """A number whose written form has its digits already."""
    return Written(text, end, text)


Rule = Callable[[Sequence[str], int], Written | None]
