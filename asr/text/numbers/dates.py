"""Dates, years, decades and times of day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from asr.text.numbers.codes import PARTS_OF_DAY, at_street
from asr.text.numbers.quantities import UNITS
from asr.text.numbers.values import (
    NUMBER_WORDS,
    SCALES,
    TENS,
    Number,
    below_hundred,
    cardinal,
    ordinal,
    ordinal_text,
    year,
    zero_and_digit,
)
from asr.text.numbers.words import counted, says, word_at, word_set
from asr.text.numbers.written import Written, in_digits

MONTHS = word_set(
    "january february march april may june july august september october november december"
)
VERBS_TOO = {"march", "may"}  # months that are other words as well: a day in ordinals must follow
WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
BEFORE_TIME = frozenset({"at", "by", "until", "till", "around", "before", "after", "from", "about"})
AFTER_TIME = word_set(
    "in on at to and or for today tomorrow tonight this the sharp is was when so but i we you "
    "he she they it every train bus flight meeting class appointment"
)
# What these are followed by is no time: "he weighs one fifty".
BEFORE_AMOUNT = word_set(
    "weigh weighs weighed cost costs pay paid pays bench scored than only nearly almost over "
    "under flight room boeing airbus interstate highway route channel bus"
)
# Before the month of may; after other words it is a verb: "you may first want to look".
_BEFORE_MAY = WEEKDAYS | word_set(
    "on by from to until till since before after of through around about and or for than this last "
    "next the is was starting beginning ending dated due"
)
_YEAR_CUES = frozenset({"in", "of", "since", "year", "years", "until", "till", "late", "early"})
_BEFORE_COUNT = frozenset({"nearly", "almost", "than", "over", "least", "most", "approximately"})
_DECADES = {f"{word[:-1]}ies": value for word, value in TENS.items()}
_CODES = word_set("pin code number combination password passcode extension")
_RANGES = frozenset({"to", "or", "and"})
_ABOVE_MINUTES = frozenset({*SCALES, "hundred", "sixty", "seventy", "eighty", "ninety"})


def date(words: Sequence[str], at: int) -> Written | None:
    """ "march third twenty twenty four", "the third of march", "march twenty twenty four", "friday
    the third". A month before another number has its capital: "february thirty second"."""
    month = word_at(words, at)
    if month in MONTHS:
        day = _day(words, at)
        if month == "may" and day and _is_verb(words, at, day.end):
            return None
        if day and 1 <= day.value <= 31:
            return _with_year(words, f"{month.capitalize()} {day.value}", day.end, ",")
        if (in_year := _year(words, at + 1)) and not in_year.is_count:
            return Written(f"{month.capitalize()} {in_year.value}", in_year.end)
        number = ordinal(words, at + 1) or cardinal(words, at + 1)
        return Written(month.capitalize(), at + 1) if number and month not in VERBS_TOO else None
    day = ordinal(words, at)
    if day is None or day.value > 31:
        return None
    if word_at(words, day.end) == "of":
        month = word_at(words, day.end + 1)
        if month in MONTHS and (word_at(words, at - 1) == "the" or month not in VERBS_TOO):
            text = f"{ordinal_text(day.value)} of {month.capitalize()}"
            return _with_year(words, text, day.end + 2, "")
    if word_at(words, at - 1) == "the" and word_at(words, at - 2) in WEEKDAYS:
        return Written(ordinal_text(day.value), day.end)
    return None


def _is_verb(words: Sequence[str], at: int, day_end: int) -> bool:
    """Whether "may" is one before "first": neither a year follows nor does a date start here."""
    before = word_at(words, at - 1)
    return bool(before) and before not in _BEFORE_MAY and not _year(words, day_end)


def _day(words: Sequence[str], at: int) -> Number | None:
    """The day behind a month: "third", "the third", "twenty five". "In june two people came"."""
    if day := ordinal(words, at + 1 + (word_at(words, at + 1) == "the")):
        return day
    day = below_hundred(words, at + 1)
    if day is None or words[at] in VERBS_TOO or counted(word_at(words, day.end)):
        return None
    if year(words, at + 1):
        return None
    is_longer = word_at(words, day.end) in NUMBER_WORDS - {"two"}
    return None if is_longer and not year(words, day.end) else day


def _with_year(words: Sequence[str], date: str, at: int, comma: str) -> Written:
    """A date, and the year that stands at `at`, if there is one."""
    found = _year(words, at)
    if found is None or found.is_count:
        return Written(date, at)
    return Written(f"{date}{comma} {found.value}", found.end)


def time(words: Sequence[str], at: int) -> Written | None:
    """ "three thirty p m", "seven o'clock", "at five oh five", "six in the morning"."""
    hour = below_hundred(words, at)
    if hour is None or not 1 <= hour.value <= 24:
        return None
    minute = below_hundred(words, hour.end)
    if minute and not 10 <= minute.value <= 59:
        minute = None
    minute = zero_and_digit(words, hour.end) or minute
    for end, text in (
        *([(minute.end, f"{hour.value}:{minute.value:02}")] if minute else []),
        (hour.end, str(hour.value)),
    ):
        half, after = _half_of_day(words, end)
        if half and hour.value <= 12:
            return in_digits(f"{text} {half}", after)
        if word_at(words, end) == "o'clock":
            return in_digits(f"{text} o'clock", end + 1)
        if (
            hour.value <= 12
            and any(says(words, end, part) for part in PARTS_OF_DAY)
            and _no_count(words, at)
        ):
            return in_digits(text, end)
    if minute and hour.end == at + 1 and _is_time(words, at, hour, minute):
        text = f"{hour.value}:{minute.value:02}"
        return in_digits(text, minute.end)
    return None


def _no_count(words: Sequence[str], at: int) -> bool:
    """Not "no one in the morning" nor "forty five at night"."""
    pronoun = word_at(words, at) == "one" and word_at(words, at - 1) not in BEFORE_TIME
    return not pronoun and word_at(words, at - 1) not in NUMBER_WORDS


def _is_time(words: Sequence[str], at: int, hour: Number, minute: Number) -> bool:
    """Without a.m. or o'clock: behind "at" and its like, or a round minute without a noun."""
    before, follows = word_at(words, at - 1), word_at(words, minute.end)
    if before in BEFORE_AMOUNT or before in NUMBER_WORDS or at_street(words, minute.end):
        return False
    if before in ("is", "was") and word_at(words, at - 2) in _CODES:
        return False
    if _in_range_of_amounts(words, at, minute.end):
        return False
    if hour.value > 12:
        return before == "at" and hour.value < 24 and follows in AFTER_TIME | {""}
    if before in BEFORE_TIME:
        return follows not in NUMBER_WORDS | UNITS and not counted(follows)
    return minute.value % 5 == 0 and (not follows or follows in AFTER_TIME)


def _in_range_of_amounts(words: Sequence[str], at: int, end: int) -> bool:
    """Whether the other end of a range is no time: "one fifty to two hundred"."""
    if word_at(words, at - 1) in _RANGES and word_at(words, at - 2) in _ABOVE_MINUTES:
        return True
    other = cardinal(words, end + 1) if word_at(words, end) in _RANGES else None
    rest = below_hundred(words, other.end) if other else None
    return other is not None and (other.value > 24 or (rest is not None and rest.value > 59))


def _half_of_day(words: Sequence[str], at: int) -> tuple[str, int]:
    if word_at(words, at) in ("am", "pm"):
        return words[at].upper(), at + 1
    if word_at(words, at) in ("a", "p") and word_at(words, at + 1) == "m":
        return words[at].upper() + "M", at + 2
    return "", at


def decade(words: Sequence[str], at: int) -> Written | None:
    """ "the nineteen eighties", "the eighteen hundreds"."""
    century = below_hundred(words, at)
    if century is None or not 13 <= century.value <= 20:
        return None
    follows = word_at(words, century.end)
    tens = 0 if follows == "hundreds" else _DECADES.get(follows)
    return None if tens is None else Written(f"{100 * century.value + tens}s", century.end + 1)


def year_number(words: Sequence[str], at: int) -> Written | None:
    """A year; "two thousand people" are a count."""
    found = _year(words, at)
    if found is None:
        return None
    after_cue = word_at(words, at - 1) in _YEAR_CUES
    is_about = found.as_cardinal and word_at(words, at - 1) in _BEFORE_COUNT
    is_count = (is_about or found.is_count) and not after_cue
    text = f"{found.value:,}" if is_count else str(found.value)
    return in_digits(text, found.end)


class _Year(NamedTuple):
    """A year, which may be a count of what follows."""

    value: int
    end: int
    as_cardinal: bool  # "two thousand", "fifteen hundred"
    is_count: bool  # "two thousand people"


def _year(words: Sequence[str], at: int) -> _Year | None:
    """A year that is no part of a longer number and has no unit."""
    found = year(words, at)
    if found is None or word_at(words, found.end) in UNITS | {"hours"}:
        return None
    longer = cardinal(words, at)
    if longer and longer.end > found.end:
        return None
    as_cardinal = longer is not None and longer.value == found.value
    is_count = as_cardinal and counted(word_at(words, found.end))
    return _Year(found.value, found.end, as_cardinal, is_count)
