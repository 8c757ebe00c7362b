"""Spoken numbers as values: "one thousand two hundred fifty" is 1250. Pure functions on words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from asr.text.numbers.words import says, word_at, word_set


def _values(text: str, start: int, step: int = 1) -> dict[str, int]:
    return {word: start + step * k for k, word in enumerate(text.split())}


ONES = _values("zero one two three four five six seven eight nine", 0)
TEENS = _values(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10
)
TENS = _values("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
SCALES = {
    "thousand": 1_000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "trillion": 1_000_000_000_000,
}
NUMBER_WORDS = {*ONES, *TEENS, *TENS, *SCALES, "hundred"}
OH = ("oh", "o")  # the letter, as which a zero is spoken

ORDINAL_ONES = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9} | {
    f"{word}th": value for word, value in ONES.items() if value in (4, 6, 7)
}
ORDINAL_TEENS = {
    ("twelfth" if word == "twelve" else f"{word}th"): value for word, value in TEENS.items()
}
ORDINAL_TENS = {f"{word[:-1]}ieth": value for word, value in TENS.items()}
ORDINAL_SCALES = {"hundredth": 100, "thousandth": 1_000, "millionth": 1_000_000}
_ORDINALS = {**ORDINAL_ONES, **ORDINAL_TEENS, **ORDINAL_TENS}

# "Sevens", "forties", "seven's": the number word and the ending. "Ones" and "seconds" are others.
INFLECTED = {
    (word[:-1] + "ies" if word.endswith("y") else word + ("es" if word == "six" else "s")): (
        word,
        "s",
    )
    for word in (*ONES, *TEENS, *TENS)
    if word not in ("zero", "one")
} | {f"{word}'s": (word, "'s") for word in (*ONES, *TEENS, *TENS)}
# What follows the exclamation "oh".
INTERJECTED = word_set("no yes my well yeah god okay boy dear i he she it they we you")


class Number(NamedTuple):
    """A number that words speak."""

    value: int
    end: int  # the first word behind it
    scale: str = ""  # million or more, where that is its last word: it is written with it


def below_hundred(words: Sequence[str], at: int) -> Number | None:
    """ "five", "twelve", "twenty", "twenty five"; not the twenty of "twenty first"."""
    word = word_at(words, at)
    if word in TENS:
        follows = word_at(words, at + 1)
        if follows in ORDINAL_ONES or (follows in INFLECTED and INFLECTED[follows][0] in ONES):
            return None
        one = ONES.get(follows, 0)
        return Number(TENS[word] + one, at + 2 if one else at + 1)
    value = ONES.get(word, TEENS.get(word))
    return None if value is None else Number(value, at + 1)


def cardinal(words: Sequence[str], at: int) -> Number | None:
    """The longest cardinal from a word on: "three hundred and five thousand twenty". "a hundred" is
    one where more follows."""
    total, position, smallest = 0, at, float("inf")
    while (group := _group(words, position, total > 0)) is not None:
        is_small = 0 < group.value < 1000  # no "zero thousand", nor "sixteen hundred thousand"
        scale = SCALES.get(word_at(words, group.end), 1) if is_small else 1
        if scale >= smallest or (total and not is_small):
            break
        total, position = total + group.value * scale, group.end + (scale > 1)
        smallest = scale
        if scale == 1:
            break
    if position == at:
        return None
    last = words[position - 1]
    return Number(total, position, last if SCALES.get(last, 0) >= 1_000_000 else "")


def _group(words: Sequence[str], at: int, goes_on: bool) -> Number | None:
    """A value below 10,000 that a scale may follow; `goes_on`: "and" may stand before it."""
    if goes_on and word_at(words, at) == "and":
        found = _group(words, at + 1, False)
        return found if found and found.value < 100 and not _scaled(words, found.end) else None
    first = below_hundred(words, at)
    if word_at(words, at) == "a" and word_at(words, at + 1) in ("hundred", "thousand"):
        first = Number(1, at + 1) if _number_follows(words, at + 2) else None
    if first is None or first.value == 0 or word_at(words, first.end) != "hundred":
        return first
    value, end = 100 * first.value, first.end + 1
    rest = below_hundred(words, end + (word_at(words, end) == "and"))
    if rest and rest.value and word_at(words, rest.end) != "hundred":
        # "one hundred and two thousand": the scale belongs to all of it, or to the second alone.
        value, end = value + rest.value, rest.end
    return Number(value, end)


def _number_follows(words: Sequence[str], at: int) -> bool:
    word = word_at(words, at + (word_at(words, at) == "and"))
    return word in ONES or word in TEENS or word in TENS or word in ("thousand", "million")


def _scaled(words: Sequence[str], at: int) -> bool:
    return word_at(words, at) in SCALES or word_at(words, at) == "hundred"


def is_ordinal(word: str) -> bool:
    """Whether a word is an ordinal below a hundred: "third", "twentieth"."""
    return word in _ORDINALS


def ordinal(words: Sequence[str], at: int) -> Number | None:
    """ "third", "twenty first", "one hundred and fifth"."""
    if found := _small_ordinal(words, at):
        return found
    found = cardinal(words, at)
    if found is None:
        return None
    if found.value < 100:
        scale = ORDINAL_SCALES.get(word_at(words, found.end))
        return Number(found.value * scale, found.end + 1) if scale else None
    rest = _small_ordinal(words, found.end + (word_at(words, found.end) == "and"))
    # "one hundred first", "one hundred twenty first", not "one hundred one first".
    return Number(found.value + rest.value, rest.end) if rest and found.value % 100 == 0 else None


def _small_ordinal(words: Sequence[str], at: int) -> Number | None:
    """ "third", "twelfth", "twentieth", "twenty first"."""
    word, follows = word_at(words, at), word_at(words, at + 1)
    if word in TENS and follows in ORDINAL_ONES:
        return Number(TENS[word] + ORDINAL_ONES[follows], at + 2)
    return Number(_ORDINALS[word], at + 1) if word in _ORDINALS else None


def zero_and_digit(words: Sequence[str], at: int) -> Number | None:
    """The end of a year, a time or a code: "oh five"; "oh oh", where no more digits follow."""
    if word_at(words, at) not in OH:
        return None
    digit = word_at(words, at + 1)
    if digit in OH and word_at(words, at + 2) not in {*ONES, *OH}:
        return Number(0, at + 2)
    return Number(ONES[digit], at + 2) if digit in ONES else None


def year(words: Sequence[str], at: int) -> Number | None:
    """A year in pairs ("nineteen eighty four", "twenty oh five", "eighteen hundred") or from "two
    thousand" to "two thousand ninety nine"."""
    if says(words, at, "two thousand"):
        found = cardinal(words, at)
        return found if found and 2000 <= found.value < 2100 else None
    century = below_hundred(words, at)
    if century is None or century.end != at + 1 or not 10 <= century.value <= 20:
        return None
    rest = below_hundred(words, century.end)
    if century.value >= 13:
        if word_at(words, century.end) == "hundred":
            found = cardinal(words, at)
            return found if found and found.value // 100 == century.value else None
        rest = zero_and_digit(words, century.end) or rest
    smallest = 60 if century.value < 13 else 0 if rest and rest.end == century.end + 2 else 10
    if rest is None or rest.value < smallest or _scaled(words, rest.end):
        return None
    return Number(century.value * 100 + rest.value, rest.end)


def digits(words: Sequence[str], at: int, inside: bool = False) -> tuple[str, int]:
    """Single digits one after another ("five five oh double two"), as text, and where they end.

    Args:
        inside: more stands before them, so that they may begin with "oh".
    """
    text, position = "", at
    while position < len(words):
        word = words[position]
        times = {"double": 2, "triple": 3}.get(word, 0)
        if times and word_at(words, position + 1) in {*ONES, *OH[:1]}:
            text += times * str(ONES.get(words[position + 1], 0))
            position += 2
        elif word in ONES or (word in OH and _is_zero(words, position, text, inside)):
            text += str(ONES.get(word, 0))
            position += 1
        else:
            break
    return text, position


def _is_zero(words: Sequence[str], at: int, before: str, inside: bool) -> bool:
    """Whether "oh" is a digit: others stand before it, and one behind it, or some before it."""
    follows = word_at(words, at + 1)
    if follows in {*ONES, *OH, "double", "triple"}:
        return bool(before) or inside
    return len(before) > (2 if follows else 1) and follows not in INTERJECTED


def ordinal_text(value: int) -> str:
    """ "3rd", "11th"."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{'th' if value % 100 in (11, 12, 13) else ending}"
