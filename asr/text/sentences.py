"""Reads texts for the training and evaluation of language models, line by line and normalised."""

from __future__ import annotations

import lzma
import os
import re
from collections.abc import Iterator

from asr.errors import DataError
from asr.text.normalise import normalise, unspellable

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z])")


def read_sentences(path: str | os.PathLike[str]) -> Iterator[str]:
    """The sentences of a text file (plain or .xz), normalised like transcripts.

    A line holds one or more sentences. Sentences with digits or foreign letters are skipped,
    because their spoken form is unknown.

    Raises:
        DataError: missing, or not text.
    """
    for line in read_lines(path):
        for sentence in _SENTENCE_END.split(line):
            if not unspellable(sentence) and (words := normalise(sentence)):
                yield words


def read_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines of a text file (plain or .xz).

    Raises:
        DataError: missing, or not text.
    """
    opener = lzma.open if str(path).endswith(".xz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            yield from file
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as text ({error})") from None
