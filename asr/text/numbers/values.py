"""Spoken numbers as values: "one thousand two hundred fifty" is 1250. Pure functions on words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ONES = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine".split()  # noqa: SIM905
    )
}
TEENS = {
    word: value
    for value, word in enumerate(
        (  # noqa: SIM905
            "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
        ).split(),
        start=10,
    )
}
TENS = {
    word: 10 * value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(),  # noqa: SIM905
        start=2,
    )
}
SCALES = {
    "thousand": 1_000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "trillion": 1_000_000_000_000,
}
# What follows the exclamation "oh".
INTERJECTED = frozenset("no yes my well yeah god okay boy dear i he she it they we you".split())  # noqa: SIM905
NUMBER_WORDS = {*ONES, *TEENS, *TENS, *SCALES, "hundred"}

_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9}
ORDINAL_ONES = _IRREGULAR | {
    f"{word}th": value for word, value in ONES.items() if value in (4, 6, 7)
}
ORDINAL_TEENS = {
    ("twelfth" if word == "twelve" else f"{word}th"): value for word, value in TEENS.items()
}
ORDINAL_TENS = {f"{word[:-1]}ieth": value for word, value in TENS.items()}
ORDINAL_SCALES = {"hundredth": 100, "thousandth": 1_000, "millionth": 1_000_000}


class Number(NamedTuple):
    """A number that words speak."""

    value: int
    end: int  # the first word behind it
    scale: str = ""  # million or more, where that is its last word: it is written with it


def below_hundred(words: Sequence[str], at: int) -> Number | None:
    """ "five", "twelve", "twenty", "twenty five"."""
    if at >= len(words):
        return None
    word = words[at]
    if word in ONES:
        return Number(ONES[word], at + 1)
    if word in TEENS:
        return Number(TEENS[word], at + 1)
    if word in TENS:
        one = ONES.get(words[at + 1], 0) if at + 1 < len(words) else 0
        return Number(TENS[word] + one, at + 2 if one else at + 1)
    return None


def cardinal(words: Sequence[str], at: int) -> Number | None:
    """The longest cardinal from a word on: "three hundred and five thousand twenty". "a hundred" is
    one where more follows."""
    total, position, smallest = 0, at, float("inf")
    while (group := _group(words, position, total > 0)) is not None:
        value, end = group.value, group.end
        scale = SCALES.get(words[end], 0) if end < len(words) else 0
        if scale:
            end += 1
        unit = scale or 1
        if unit >= smallest:
            break
        if total and value >= 1000:
            break
        total, position, smallest = total + value * unit, end, unit
        if unit == 1:
            break
    if position == at:
        return None
    last = words[position - 1]
    return Number(total, position, last if SCALES.get(last, 0) >= 1_000_000 else "")


def _group(words: Sequence[str], at: int, goes_on: bool) -> Number | None:
    """A value below 10,000 that a scale may follow; `goes_on`: "and" may stand before it."""
    if goes_on and at + 1 < len(words) and words[at] == "and":
        found = _group(words, at + 1, False)
        return found if found and found.value < 100 and not _scaled(words, found.end) else None
    if words[at : at + 1] == ["a"] and words[at + 1 : at + 2] in (["hundred"], ["thousand"]):
        if words[at + 1] == "thousand":
            return Number(1, at + 1) if _number_follows(words, at + 2) else None
        if not _number_follows(words, at + 2):
            return None
        first = Number(1, at + 1)
    else:
        below = below_hundred(words, at)
        if below is None:
            return None
        first = below
    if first.end >= len(words) or words[first.end] != "hundred" or first.value == 0:
        return first
    value, end = 100 * first.value, first.end + 1
    rest_at = end + 1 if words[end : end + 1] == ["and"] else end
    rest = below_hundred(words, rest_at)
    if rest and rest.value and not _hundred(words, rest.end):
        # "one hundred and two thousand": the scale belongs to all of it, or to the second alone.
        value, end = value + rest.value, rest.end
    return Number(value, end)


def _number_follows(words: Sequence[str], at: int) -> bool:
    if words[at : at + 1] == ["and"]:
        at += 1
    return below_hundred(words, at) is not None or words[at : at + 1] in (["thousand"], ["million"])


def _hundred(words: Sequence[str], at: int) -> bool:
    return list(words[at : at + 1]) == ["hundred"]


def _scaled(words: Sequence[str], at: int) -> bool:
    return at < len(words) and (words[at] in SCALES or words[at] == "hundred")


def ordinal(words: Sequence[str], at: int) -> Number | None:
    """ "third", "twenty first", "one hundred and fifth"."""
    word = words[at] if at < len(words) else ""
    single = {**ORDINAL_ONES, **ORDINAL_TEENS, **ORDINAL_TENS}
    if word in single:
        return Number(single[word], at + 1)
    if word in TENS and at + 1 < len(words) and words[at + 1] in ORDINAL_ONES:
        return Number(TENS[word] + ORDINAL_ONES[words[at + 1]], at + 2)
    found = cardinal(words, at)
    if found is None or found.value < 100:
        if found and found.end < len(words) and words[found.end] in ORDINAL_SCALES:
            return Number(found.value * ORDINAL_SCALES[words[found.end]], found.end + 1)
        return None
    after = found.end
    if list(words[after : after + 1]) == ["and"]:
        after += 1
    rest = ordinal(words, after) if after < len(words) else None
    # "one hundred first", "one hundred twenty first", not "one hundred one first".
    tens = found.value % 100
    room = 100 if tens == 0 else 10 if tens >= 20 and tens % 10 == 0 and after == found.end else 0
    return Number(found.value + rest.value, rest.end) if rest and rest.value < room else None


def year(words: Sequence[str], at: int) -> Number | None:
    """A year in pairs ("nineteen eighty four", "twenty oh five", "eighteen hundred") or from "two
    thousand" to "two thousand ninety nine"."""
    century = below_hundred(words, at)
    if century is None:
        return None
    if 13 <= century.value <= 20 and century.end == at + 1 and century.end < len(words):
        if words[century.end] == "oh" and century.end + 1 < len(words):
            one = ONES.get(words[century.end + 1])
            return Number(century.value * 100 + one, century.end + 2) if one else None
        if words[century.end] == "hundred":
            found = cardinal(words, at)
            return found if found and found.value // 100 == century.value else None
        rest = below_hundred(words, century.end)
        if rest and rest.value >= 10 and not _scaled(words, rest.end):
            return Number(century.value * 100 + rest.value, rest.end)
    if 10 <= century.value <= 12 and century.end == at + 1:
        rest = below_hundred(words, century.end)
        if rest and rest.value >= 60 and not _scaled(words, rest.end):
            return Number(century.value * 100 + rest.value, rest.end)
    if words[at] == "two" and words[at + 1 : at + 2] == ["thousand"]:
        found = cardinal(words, at)
        return found if found and 2000 <= found.value < 2100 else None
    return None


def digits(words: Sequence[str], at: int) -> tuple[str, int]:
    """Single digits one after another ("five five oh double two"), as text, and where they end."""
    text, position = "", at
    while position < len(words):
        word = words[position]
        times = {"double": 2, "triple": 3}.get(word, 0)
        if times and position + 1 < len(words) and words[position + 1] in {*ONES, "oh"}:
            text += times * str(ONES.get(words[position + 1], 0))
            position += 2
        elif word in ONES or (word in ("oh", "o") and _is_zero(words, position, text)):
            text += str(ONES.get(word, 0))
            position += 1
        else:
            break
    return text, position


def _is_zero(words: Sequence[str], at: int, before: str) -> bool:
    """Whether "oh" is a digit: others stand before it, and one behind it or three before it."""
    follows = words[at + 1] if at + 1 < len(words) else ""
    if follows in {*ONES, "oh", "o", "double", "triple"}:
        return bool(before)
    return len(before) > 2 and follows not in INTERJECTED


def ordinal_text(value: int) -> str:
    """ "3rd", "11th"."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{'th' if value % 100 in (11, 12, 13) else ending}"


def word_at(words: Sequence[str], at: int) -> str:
    """The word at a place, or nothing outside the segment."""
    return words[at] if 0 <= at < len(words) else ""
