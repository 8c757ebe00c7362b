"""Texts that language models are estimated from."""

from __future__ import annotations

import os

from asr.errors import DataError


def no_usable_sentence(text: str | os.PathLike[str]) -> DataError:
    """The error for a text that has no sentence in the alphabet."""
    return DataError(f"{text}: no sentence in it that can be used")
