"""Written sentences as spoken words with the mark after each word and its letter case.

"In 2024, Dr. Ray won." becomes in, twenty, twenty, four (comma), doctor, ray, won (full stop).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from asr.text.normalise import normalise
from asr.text.punctuation import Case, Mark
from training.language_model.spoken_forms import spoken_form, without_abbreviations

_OPENERS = "\"'“‘(["
_CLOSERS = "\"'”’)]"
_DASH = re.compile(r"\s+(?:--?|[–—])\s+|--+|\s*[–—]\s*")
_ENDING = re.compile(rf"[{re.escape(_CLOSERS)}]*(?P<mark>[.,?!;:…]*)[{re.escape(_CLOSERS)}]*$")
_PLAIN = re.compile(r"[A-Za-z'\s,.?!;:\"“”()-]*")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_PART = re.compile(r"[-/]")
_POSSESSIVE = re.compile(r"['’]s?$")
# Semicolons and colons are rare in speech, and nothing but their text tells them from commas.
_MARKS = {",": Mark.COMMA, ";": Mark.COMMA, ":": Mark.COMMA, "…": Mark.COMMA,
          ".": Mark.STOP, "?": Mark.QUESTION, "!": Mark.EXCLAMATION}  # fmt: skip


class MarkedWord(NamedTuple):
    """A spoken word, the mark after it, and its letter case."""

    word: str
    mark: Mark
    case: Case
    form: str  # as it is written: "iPhone", for the words of mixed case


def marked_words(line: str) -> list[MarkedWord] | None:
    """The words of a line of one or more sentences.

    Returns:
        None where the spoken form is unclear, a word in capitals is not told from a heading, or the
        line does not end with a mark.
    """
    text = _DASH.sub(", ", without_abbreviations(line.strip()))
    tokens = [token for token in map(_Token.read, text.split()) if token]
    if not tokens or tokens[-1].mark in (Mark.NONE, Mark.COMMA):
        return None
    if _is_heading(tokens):
        return None
    if _PLAIN.fullmatch(text):  # most lines: each token is read as it stands
        return _marked(tokens)
    spoken = spoken_form(text)
    return _aligned(_marked(tokens), spoken.split()) if spoken else None


class _Token(NamedTuple):
    """A written token without quotes and marks."""

    parts: tuple[str, ...]  # divided at hyphens
    mark: Mark

    @staticmethod
    def read(written: str) -> _Token | None:
        written = written.lstrip(_OPENERS)
        ending = _ENDING.search(written)
        marks = ending["mark"] if ending else ""
        core = written[: ending.start()] if ending else written
        if not core:
            return None
        mark = _MARKS[marks[-1]] if marks else Mark.NONE
        if marks.startswith("..") and mark == Mark.STOP:
            mark = Mark.COMMA  # a speaker who breaks off
        return _Token(tuple(part for part in _PART.split(core) if part), mark)


def _marked(tokens: list[_Token]) -> list[MarkedWord]:
    """The words of each token by itself."""
    marked: list[MarkedWord] = []
    for token in tokens:
        last = len(token.parts) - 1
        for place, part in enumerate(token.parts):
            marked += _read(part, token.mark if place == last else Mark.NONE)
    return marked


def _aligned(marked: list[MarkedWord], spoken: list[str]) -> list[MarkedWord] | None:
    """The spoken words of a line with the marks and the case of the tokens that they are read
    from."""
    words = [one.word for one in marked]
    if words == spoken:
        return marked
    aligned: list[MarkedWord] = []
    for kind, first, end, start, stop in SequenceMatcher(
        None, words, spoken, autojunk=False
    ).get_opcodes():
        before = marked[first:end]
        if kind == "equal":
            aligned += before
        elif before and stop > start and not any(one.mark for one in before[:-1]):
            # A number that is read otherwise beside its neighbours: "March 3" is "March third".
            aligned += [MarkedWord(w, Mark.NONE, Case.LOWER, w) for w in spoken[start:stop]]
            aligned[-1] = aligned[-1]._replace(mark=before[-1].mark)
        else:
            return None
    return aligned


def _read(part: str, mark: Mark) -> Iterator[MarkedWord]:
    """The spoken words of a part of a token; the last one carries the mark."""
    if _WORD.fullmatch(part):
        yield MarkedWord(part.lower(), mark, _case(part), part)
        return
    words = (spoken_form(part) or normalise(part)).split()
    for place, word in enumerate(words):
        single = len(words) == 1
        yield MarkedWord(
            word,
            mark if place == len(words) - 1 else Mark.NONE,
            _case(part) if single else Case.LOWER,
            part.replace("’", "'") if single else word,
        )


def _case(written: str) -> Case:
    """The letter case of a written word; its possessive ending does not count."""
    letters = "".join(filter(str.isalpha, _POSSESSIVE.sub("", written)))
    if not letters or letters.islower():
        return Case.LOWER
    if letters[0].isupper() and (len(letters) == 1 or letters[1:].islower()):
        return Case.CAPITAL
    return Case.UPPER if letters.isupper() else Case.MIXED


def _is_heading(tokens: list[_Token]) -> bool:
    """Whether most words of a line have capitals, as those of a heading have: such capitals say
    nothing about the words."""
    parts = [part for token in tokens for part in token.parts if part[:1].isalpha()]
    capitals = sum(part[0].isupper() for part in parts[1:])
    return len(parts) > 4 and capitals > 0.6 * (len(parts) - 1)
