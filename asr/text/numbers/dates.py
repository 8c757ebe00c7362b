"""Dates, years, decades and times of day."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.codes import at_street
from asr.text.numbers.quantities import UNITS
from asr.text.numbers.values import (
    NUMBER_WORDS,
    ONES,
    TENS,
    Number,
    below_hundred,
    cardinal,
    ordinal,
    ordinal_text,
    word_at,
    year,
)
from asr.text.numbers.written import Written

MONTHS = (  # noqa: SIM905
    "january february march april may june july august september october november december"
).split()
VERBS_TOO = {"march", "may"}  # months that are other words as well: a day in ordinals must follow
WEEKDAYS = frozenset("monday tuesday wednesday thursday friday saturday sunday".split())  # noqa: SIM905
BEFORE_TIME = frozenset({"at", "by", "until", "till", "around", "before", "after", "from", "about"})
AFTER_TIME = frozenset(
    (  # noqa: SIM905
        "in on at to and or for today tomorrow tonight this the sharp is was when so but i we you "
        "he she they it every train bus flight meeting class appointment"
    ).split()
)
# What these are followed by is no time: "he weighs one fifty".
BEFORE_AMOUNT = frozenset(
    (  # noqa: SIM905
        "weigh weighs weighed cost costs pay paid pays bench scored than only nearly almost over "
        "under flight room boeing airbus interstate highway route channel bus"
    ).split()
)
_YEAR_CUES = frozenset({"in", "of", "since", "year", "years", "until", "till", "late", "early"})
_BEFORE_COUNT = frozenset({"nearly", "almost", "than", "over", "least", "most", "approximately"})
# Words in -s that nobody counts.
_NOT_COUNTED = frozenset(
    "was is this has its as does perhaps always us yes his hers theirs ours".split()  # noqa: SIM905
)
_IRREGULAR_PLURALS = frozenset({"people", "men", "women", "children", "feet", "teeth", "sheep"})


def date(words: Sequence[str], at: int) -> Written | None:
    """ "march third twenty twenty four", "the third of march", "march twenty twenty four", "friday
    the third"."""
    month = word_at(words, at)
    if month in MONTHS:
        the = word_at(words, at + 1) == "the"
        day = ordinal(words, at + 1 + the)
        if day is None and month not in VERBS_TOO:
            day = below_hundred(words, at + 1)
            if day and (year(words, at + 1) or word_at(words, day.end) in NUMBER_WORDS - {"two"}):
                day = day if not year(words, at + 1) and year(words, day.end) else None
        if day and 1 <= day.value <= 31:
            return _with_year(words, f"{month.capitalize()} {day.value}", day.end, ",")
        in_year = year(words, at + 1)
        return Written(f"{month.capitalize()} {in_year.value}", in_year.end) if in_year else None
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


def _with_year(words: Sequence[str], date: str, at: int, comma: str) -> Written:
    """A date, and the year that stands at `at`, if there is one."""
    in_year = year(words, at)
    return Written(f"{date}{comma} {in_year.value}", in_year.end) if in_year else Written(date, at)


def time(words: Sequence[str], at: int) -> Written | None:
    """ "three thirty p m", "seven o'clock", "at five oh five", "six in the morning"."""
    hour = below_hundred(words, at)
    if hour is None or not 1 <= hour.value <= 24:
        return None
    minute = below_hundred(words, hour.end)
    if word_at(words, hour.end) == "oh" and word_at(words, hour.end + 1) in ONES:
        minute = Number(ONES[words[hour.end + 1]], hour.end + 2)
    elif minute and minute.value < 10:
        minute = None
    if minute and minute.value > 59:
        minute = None
    for end, text in (
        *([(minute.end, f"{hour.value}:{minute.value:02}")] if minute else []),
        (hour.end, str(hour.value)),
    ):
        half, after = _half_of_day(words, end)
        if half and hour.value <= 12:
            return Written(f"{text} {half}", after, f"{text} {half}")
        if word_at(words, end) == "o'clock":
            return Written(f"{text} o'clock", end + 1, f"{text} o'clock")
        if hour.value <= 12 and _part_of_day(words, end) and _no_count(words, at):
            return Written(text, end, text)
    if minute and hour.end == at + 1 and _is_time(words, at, hour, minute):
        text = f"{hour.value}:{minute.value:02}"
        return Written(text, minute.end, text)
    return None


def _no_count(words: Sequence[str], at: int) -> bool:
    """Not "no one in the morning" nor "forty five at night"."""
    pronoun = word_at(words, at) == "one" and word_at(words, at - 1) not in BEFORE_TIME
    return not pronoun and word_at(words, at - 1) not in NUMBER_WORDS


def _part_of_day(words: Sequence[str], at: int) -> bool:
    if word_at(words, at) == "at":
        return word_at(words, at + 1) == "night"
    return list(words[at : at + 2]) == ["in", "the"] and word_at(words, at + 2) in (
        "morning",
        "afternoon",
        "evening",
    )


def _is_time(words: Sequence[str], at: int, hour: Number, minute: Number) -> bool:
    """Without a.m. or o'clock: behind "at" and its like, or a round minute without a noun."""
    before, follows = word_at(words, at - 1), word_at(words, minute.end)
    if before in BEFORE_AMOUNT or before in NUMBER_WORDS or at_street(words, minute.end):
        return False
    if hour.value > 12:
        return before == "at" and hour.value < 24 and follows in AFTER_TIME | {""}
    if before in BEFORE_TIME:
        return follows not in NUMBER_WORDS | UNITS and not counted(follows)
    return minute.value % 5 == 0 and (not follows or follows in AFTER_TIME)


def _half_of_day(words: Sequence[str], at: int) -> tuple[str, int]:
    if word_at(words, at) in ("am", "pm"):
        return words[at].upper(), at + 1
    if word_at(words, at) in ("a", "p") and word_at(words, at + 1) == "m":
        return words[at].upper() + "M", at + 2
    return "", at


def decade(words: Sequence[str], at: int) -> Written | None:
    """ "the nineteen eighties"."""
    century = below_hundred(words, at)
    if century is None or not 13 <= century.value <= 20:
        return None
    decades = {f"{word[:-1]}ies": value for word, value in TENS.items()}
    if (tens := decades.get(word_at(words, century.end))) is not None:
        return Written(f"{100 * century.value + tens}s", century.end + 1)
    return (
        Written(f"{century.value}00s", century.end + 1)
        if word_at(words, century.end) == "hundreds"
        else None
    )


def year_number(words: Sequence[str], at: int) -> Written | None:
    """A year; "two thousand people" are a count."""
    found = year(words, at)
    if found is None or word_at(words, found.end) in UNITS | {"hours"}:
        return None
    longer = cardinal(words, at)
    if longer and longer.end > found.end:
        return None
    as_cardinal = longer is not None and longer.value == found.value
    after_cue = word_at(words, at - 1) in _YEAR_CUES
    is_about = word_at(words, at - 1) in _BEFORE_COUNT
    if as_cardinal and not after_cue and (is_about or counted(word_at(words, found.end))):
        return Written(f"{found.value:,}", found.end, f"{found.value:,}")
    return Written(str(found.value), found.end, str(found.value))


def counted(word: str) -> bool:
    """Whether a word looks like a noun in the plural, of which there may be a number."""
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "'s"))
    return word in _IRREGULAR_PLURALS or (is_plural and word not in _NOT_COUNTED)
