"""Numbers, dates, times, money and addresses as people write them (inverse text normalisation).

`written_forms` divides the spoken words of a segment into written tokens. Each token stands for one
spoken word or several, so a word keeps its time and confidence. What is ambiguous stays a word:
"one of them", "a second".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from asr.text.addresses import Written, abbreviation, address
from asr.text.number_words import (
    NUMBER_WORDS,
    ONES,
    TENS,
    Number,
    below_hundred,
    cardinal,
    digits,
    ordinal,
    year,
)

MONTHS = (  # noqa: SIM905
    "january february march april may june july august september october november december"
).split()
VERBS_TOO = {"march", "may"}  # months that are other words as well: a day in ordinals must follow
CURRENCIES = {
    "dollar": "$", "dollars": "$", "euro": "€", "euros": "€", "yen": "¥",
}  # fmt: skip
# A number below ten is written in digits before these, after those.
UNITS = frozenset(
    (  # noqa: SIM905
        "percent degrees degree kilometers kilometres kilometer kilometre meters metres miles mile "
        "centimeters centimetres millimeters millimetres inches feet kilos kilograms kilogram "
        "grams gram milligrams pounds ounces tons tonnes liters litres milliliters gallons "
        "megabytes gigabytes kilobytes terabytes megahertz gigahertz hertz watts kilowatts volts "
        "amps decibels mph euros euro dollars dollar cents yen"
    ).split()
)
LABELS = frozenset(
    (  # noqa: SIM905
        "chapter page section room gate flight route highway channel level step part question unit "
        "apartment season episode volume line platform track number version article figure table "
        "exercise grade phase lesson verse bus zone size"
    ).split()
)
MONARCHS = frozenset(
    (  # noqa: SIM905
        "henry louis george edward charles james william richard philip elizabeth john paul "
        "benedict pius leo napoleon catherine frederick ivan peter alexander nicholas wilhelm "
        "gregory clement innocent urban boniface mary ferdinand francis christian gustav felipe "
        "juan carlos leopold albert otto rudolf"
    ).split()
)
BEFORE_TIME = frozenset({"at", "by", "until", "till", "around", "before", "after", "from", "about"})
AFTER_TIME = frozenset(
    (  # noqa: SIM905
        "in on at to and or for today tomorrow tonight this the sharp is was when so but i we you"
    ).split()
)
FRACTIONS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourths": 4,
    "fifths": 5, "sixths": 6, "sevenths": 7, "eighths": 8, "ninths": 9, "tenths": 10,
}  # fmt: skip
JOINED_BY = frozenset({"to", "or", "and", "through"})


class WrittenForm(NamedTuple):
    """A token of the written text, and the spoken words that it stands for."""

    text: str
    first: int
    end: int


def written_forms(words: Sequence[str]) -> list[WrittenForm]:
    """The written tokens of a segment.

    Args:
        words: as spoken, lower case.

    >>> [form.text for form in written_forms("twenty five people paid ten dollars".split())]
    ['25', 'people', 'paid', '$10']
    """
    forms: list[WrittenForm] = []
    at = 0
    while at < len(words):
        found = next((w for rule in RULES if (w := rule(words, at))), Written(words[at], at + 1))
        forms.append(WrittenForm(found.text, at, found.end))
        at = found.end
    return forms


def write(words: Sequence[str]) -> str:
    """The written text of a segment."""
    return " ".join(form.text for form in written_forms(words))


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""


def _date(words: Sequence[str], at: int) -> Written | None:
    """ "march third twenty twenty four", "the third of march", "march twenty twenty four"."""
    month = _word(words, at)
    if month in MONTHS:
        the = _word(words, at + 1) == "the"
        day = ordinal(words, at + 1 + the)
        if day is None and month not in VERBS_TOO:
            day = below_hundred(words, at + 1)
            if day and (year(words, at + 1) or _word(words, day.end) in NUMBER_WORDS - {"two"}):
                day = day if not year(words, at + 1) and year(words, day.end) else None
        if day and 1 <= day.value <= 31:
            return _with_year(words, f"{month.capitalize()} {day.value}", day.end, ",")
        in_year = year(words, at + 1)
        return Written(f"{month.capitalize()} {in_year.value}", in_year.end) if in_year else None
    day = ordinal(words, at)
    if day and day.value <= 31 and _word(words, day.end) == "of":
        month = _word(words, day.end + 1)
        if month in MONTHS and (_word(words, at - 1) == "the" or month not in VERBS_TOO):
            date = f"{_ordinal(day.value)} of {month.capitalize()}"
            return _with_year(words, date, day.end + 2, "")
    return None


def _with_year(words: Sequence[str], date: str, at: int, comma: str) -> Written:
    """A date, and the year that stands at `at`, if there is one."""
    in_year = year(words, at)
    return Written(f"{date}{comma} {in_year.value}", in_year.end) if in_year else Written(date, at)


def _time(words: Sequence[str], at: int) -> Written | None:
    """ "three thirty p m", "seven o'clock", "at five oh five"."""
    hour = below_hundred(words, at)
    if hour is None or not 1 <= hour.value <= 24:
        return None
    minute = below_hundred(words, hour.end)
    if _word(words, hour.end) == "oh" and _word(words, hour.end + 1) in ONES:
        minute = Number(ONES[words[hour.end + 1]], hour.end + 2)
    elif minute and minute.value < 10:
        minute = None
    if minute and minute.value > 59:
        minute = None
    for time, text in (
        *([(minute, f"{hour.value}:{minute.value:02}")] if minute else []),
        (hour, str(hour.value)),
    ):
        half, end = _half_of_day(words, time.end)
        if half and hour.value <= 12:
            return Written(f"{text} {half}", end)
        if _word(words, time.end) == "o'clock":
            return Written(f"{text} o'clock", time.end + 1)
    if minute and hour.end == at + 1 and hour.value <= 12 and _is_time(words, at, minute):
        return Written(f"{hour.value}:{minute.value:02}", minute.end)
    return None


def _is_time(words: Sequence[str], at: int, minute: Number) -> bool:
    """Without a.m. or o'clock: behind "at" and its like, or a round minute without a noun."""
    follows = _word(words, minute.end)
    if _word(words, at - 1) in BEFORE_TIME:
        return follows not in NUMBER_WORDS | UNITS
    return minute.value % 5 == 0 and (not follows or follows in AFTER_TIME)


def _half_of_day(words: Sequence[str], at: int) -> tuple[str, int]:
    if _word(words, at) in ("am", "pm"):
        return words[at].upper(), at + 1
    if _word(words, at) in ("a", "p") and _word(words, at + 1) == "m":
        return words[at].upper() + "M", at + 2
    return "", at


def _money(words: Sequence[str], at: int) -> Written | None:
    """ "one thousand two hundred fifty dollars", "five dollars and ten cents"."""
    amount = _quantity(words, at)
    if amount is None:
        return None
    sign = CURRENCIES.get(_word(words, amount.end))
    if not sign:
        return None
    end = amount.end + 1
    cents_at = end + 1 if _word(words, end) == "and" else end
    cents = below_hundred(words, cents_at)
    if (
        cents
        and _word(words, cents.end) in ("cents", "cent")
        and amount.text.replace(",", "").isdigit()
    ):
        return Written(f"{sign}{amount.text}.{cents.value:02}", cents.end + 1)
    return Written(f"{sign}{amount.text}", end)


def _percent(words: Sequence[str], at: int) -> Written | None:
    amount = _quantity(words, at)
    if amount is None:
        return None
    if _word(words, amount.end) == "percent":
        return Written(f"{amount.text}%", amount.end + 1)
    if _word(words, amount.end) == "per" and _word(words, amount.end + 1) == "cent":
        return Written(f"{amount.text}%", amount.end + 2)
    return None


def _telephone(words: Sequence[str], at: int) -> Written | None:
    """Seven, ten or eleven digits, with "dash" or "hundred" between them where they were said."""
    text, end = digits(words, at)
    if _word(words, end) == "hundred" and len(text) in (1, 2):
        text, end = text + "00", end + 1
    while text and _word(words, end) in ("dash", "hyphen"):
        more, after = digits(words, end + 1)
        if not more:
            break
        text, end = text + more, after
    if _word(words, end - 1) == "hundred":
        more, after = digits(words, end)
        if len(more) != 7:
            return None
        text, end = text + more, after
    country = ""
    if len(text) == 11 and text[0] == "1":
        country, text = "1-", text[1:]
    if len(text) == 10:
        return Written(f"{country}{text[:3]}-{text[3:6]}-{text[6:]}", end)
    if len(text) == 7:
        return Written(f"{text[:3]}-{text[3:]}", end)
    return None


def _digit_row(words: Sequence[str], at: int) -> Written | None:
    """Three single digits or more: "four oh four", "nine one one"."""
    text, end = digits(words, at)
    if _word(words, end) in {"hundred", "thousand", "million", "point"}:
        return None
    return Written(text, end) if len(text) >= 3 else None


def _monarch(words: Sequence[str], at: int) -> Written | None:
    """The number of "henry the eighth", "world war two"."""
    if _word(words, at) == "the" and _word(words, at - 1) in MONARCHS:
        number = ordinal(words, at + 1)
        if number and number.value <= 39:
            return Written(_roman(number.value), number.end)
    if _word(words, at - 2) == "world" and _word(words, at - 1) == "war" and words[at] in ONES:
        return Written(_roman(ONES[words[at]]), at + 1) if ONES[words[at]] else None
    return None


def _fraction(words: Sequence[str], at: int) -> Written | None:
    """ "two thirds", "two and a half"."""
    whole = cardinal(words, at)
    if whole is None:
        return None
    if list(words[whole.end : whole.end + 3]) == ["and", "a", "half"]:
        return Written(f"{whole.value}.5", whole.end + 3)
    below = FRACTIONS.get(_word(words, whole.end))
    plural = _word(words, whole.end).endswith("s")
    if below and 1 < whole.value < 100 and plural and whole.end == at + 1:
        return Written(f"{whole.value}/{below}", whole.end + 1)
    return None


def _decade(words: Sequence[str], at: int) -> Written | None:
    """ "the nineteen eighties"."""
    century = below_hundred(words, at)
    if century is None or not 13 <= century.value <= 20:
        return None
    decades = {f"{word[:-1]}ies": value for word, value in TENS.items()}
    if (decade := decades.get(_word(words, century.end))) is not None:
        return Written(f"{100 * century.value + decade}s", century.end + 1)
    return (
        Written(f"{century.value}00s", century.end + 1)
        if _word(words, century.end) == "hundreds"
        else None
    )


def _year(words: Sequence[str], at: int) -> Written | None:
    found = year(words, at)
    if found is None or _word(words, found.end) in UNITS:
        return None
    longer = cardinal(words, at)
    return None if longer and longer.end > found.end else Written(str(found.value), found.end)


def _ordinal_number(words: Sequence[str], at: int) -> Written | None:
    found = ordinal(words, at)
    return Written(_ordinal(found.value), found.end) if found and found.value >= 10 else None


def _number(words: Sequence[str], at: int) -> Written | None:
    """A quantity; below ten only where a unit, a label or another number stands beside it."""
    found = _quantity(words, at)
    if found is None:
        return None
    if _word(words, at) in ("minus", "negative", "point") or not found.text.isdigit():
        return found
    return found if int(found.text) >= 10 or _in_digits(words, at, found.end) else None


def _in_digits(words: Sequence[str], at: int, end: int) -> bool:
    before, after = _word(words, at - 1), _word(words, end)
    if after in UNITS or before in LABELS or before in ("minus", "plus", "times"):
        return True
    number = cardinal(words, end + 1) if after in JOINED_BY else None
    return after not in ("and", "") and number is not None and number.value >= 10


def _quantity(words: Sequence[str], at: int) -> Written | None:
    """A cardinal or a decimal: "three point one four", "minus five", "two point five million"."""
    sign = ""
    if _word(words, at) in ("minus", "negative") and _word(words, at - 1) not in NUMBER_WORDS:
        sign, at = "-", at + 1
    found = cardinal(words, at)
    if found is None:
        return None
    if _word(words, found.end) == "point":
        decimals, end = _decimals(words, found.end + 1)
        if decimals:
            scale = _word(words, end)
            if scale in ("million", "billion", "trillion"):
                return Written(f"{sign}{found.value}.{decimals} {scale}", end + 1)
            return Written(f"{sign}{found.value}.{decimals}", end)
    if found.scale:
        value = cardinal(words[: found.end - 1], at)
        if value and value.value < 1000:
            return Written(f"{sign}{value.value} {found.scale}", found.end)
    return Written(f"{sign}{found.value:,}", found.end)


def _decimals(words: Sequence[str], at: int) -> tuple[str, int]:
    if _word(words, at) in ("oh", "o") and _word(words, at + 1) not in NUMBER_WORDS:
        return "0", at + 1
    text, end = digits(["zero", *words[at:]], 0)
    if len(text) > 1:
        return text[1:], at + end - 1
    found = below_hundred(words, at)
    return (str(found.value), found.end) if found else ("", at)


def _ordinal(value: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{'th' if value % 100 in (11, 12, 13) else ending}"


def _roman(value: int) -> str:
    text = ""
    for amount, letters in ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        while value >= amount:
            text, value = text + letters, value - amount
    return text


Rule = Callable[[Sequence[str], int], Written | None]
RULES: tuple[Rule, ...] = (  # the first that finds something holds
    address,
    _monarch,
    _date,
    _telephone,
    _time,
    _money,
    _percent,
    _fraction,
    _decade,
    _digit_row,
    _year,
    _ordinal_number,
    _number,
    abbreviation,
)
