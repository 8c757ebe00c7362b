"""Quantities: decimals, money, percentages, fractions, and numbers with units."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.values import (
    NUMBER_WORDS,
    ONES,
    ORDINAL_SCALES,
    SCALES,
    Number,
    below_hundred,
    cardinal,
    digits,
    is_ordinal,
)
from asr.text.numbers.words import word_at, word_set
from asr.text.numbers.written import Written, in_digits

CURRENCIES = {
    "dollar": "$", "dollars": "$", "euro": "€", "euros": "€", "yen": "¥",
}  # fmt: skip
# A number is written in digits before these, also one below ten.
UNITS = word_set(
    "percent degrees degree kilometers kilometres kilometer kilometre meters metres meter "
    "metre miles mile centimeters centimetres millimeters millimetres inches inch feet foot "
    "kilos kilograms kilogram grams gram milligrams pounds pound ounces tons tonnes liters "
    "litres milliliters gallons megabytes gigabytes kilobytes terabytes megabits gigabits "
    "megahertz gigahertz hertz megapixels watts kilowatts volts amps decibels mph euros "
    "euro dollars dollar cents yen celsius fahrenheit acres knots calories"
)
# Between a number and its measure's noun: "two ten dollar bills" are two things.
SINGULAR_MEASURES = word_set(
    "year month week day hour minute second dollar euro cent pound foot inch mile meter metre "
    "kilometer gallon page story man person piece point degree percent"
)
_WITHIN = frozenset({"point", "oh", "and", "dot", "dash"})  # a number
_BEFORE_HUNDRED = frozenset({*NUMBER_WORDS, "a", "few", "several", "couple", "of", "many"})
_PARTS = {"half": "5", "quarter": "25"}  # of one, as decimals
_SCALE_WORDS = ("million", "billion", "trillion")
_DENOMINATORS = {
    "halves": 2, "thirds": 3, "quarters": 4, "fourths": 4, "fifths": 5, "sixths": 6,
    "sevenths": 7, "eighths": 8, "ninths": 9, "tenths": 10,
}  # fmt: skip
_AFTER_CENTS = frozenset(["", *"and for a an each per in or but on to".split()])  # noqa: SIM905
# "the first two quarters" are parts of a year or of a match.
_BEFORE_PARTS = frozenset({"first", "last", "next", "past", "the", "all", "these", "those", "both"})
# "the point", "at this point five people came".
_BEFORE_NOUN_POINT = word_set(
    "the a this that what which every each another one my your his her our their some any at "
    "good main whole bullet match game to see no key first last next that's turning starting"
)


def may_be_one_number(before: str, after: str) -> bool:
    """Whether two neighbouring words may be of one number or quantity: "hundred twenty", "fifty
    dollars", "three point"."""
    if before in NUMBER_WORDS:
        return after in NUMBER_WORDS or after in UNITS or after in _WITHIN or is_ordinal(after)
    return before in _WITHIN and after in NUMBER_WORDS


def quantity(words: Sequence[str], at: int) -> Written | None:
    """A cardinal or a decimal in digits: "three point one four", "minus five", "two point five
    million", "two and a half"."""
    sign = ""
    if word_at(words, at) in ("minus", "negative") and word_at(words, at - 1) not in NUMBER_WORDS:
        sign, at = "-", at + 1
    found = cardinal(words, at)
    if found is None:
        if word_at(words, at) != "point" or word_at(words, at - 1) in _BEFORE_NOUN_POINT:
            return None
        text, end = _decimals(words, at + 1)
        alone = len(text) < 2 and word_at(words, end) not in UNITS | {*_SCALE_WORDS, "per"}
        return None if not text or alone else _scaled(f"{sign}.{text}", words, end)
    if word_at(words, found.end) == "point":
        text, end = _decimals(words, found.end + 1)
        while text and word_at(words, end) == "point":  # "version one point two point three"
            more, after = _decimals(words, end + 1)
            if not more:
                break
            text, end = f"{text}.{more}", after
        if text:
            return _scaled(f"{sign}{found.value:,}.{text}", words, end)
    if alternative := _in_round_range(words, at, found):
        return alternative
    if mixed := _with_part(words, found):
        return _scaled(f"{sign}{mixed.text}", words, mixed.end)
    count, rest = divmod(found.value, SCALES.get(found.scale, 1))
    if found.scale and not rest and count < 1000:
        return Written(f"{sign}{count} {found.scale}", found.end)
    return Written(f"{sign}{found.value:,}", found.end)


def _in_round_range(words: Sequence[str], at: int, found: Number) -> Written | None:
    """The end of "five to six thousand", "eight or nine hundred": the scale belongs to both.
    "One to two hundred" has two meanings, and may be 1 to 200."""
    scale, join = word_at(words, found.end - 1), word_at(words, at - 1)
    if scale not in ("hundred", "thousand") or join not in ("to", "or"):
        return None
    first = at - 2
    while word_at(words, first - 1) in NUMBER_WORDS:
        first -= 1
    start, count = below_hundred(words, first), below_hundred(words, at)
    if start is None or count is None or (start.end, count.end) != (at - 1, found.end - 1):
        return None  # "one fifty to two hundred"
    if start.value >= count.value or (start.value == 1 and join == "to"):
        return None
    return Written(f"{count.value} {scale}", found.end)


def _scaled(text: str, words: Sequence[str], end: int) -> Written:
    scale = word_at(words, end)
    return Written(f"{text} {scale}", end + 1) if scale in _SCALE_WORDS else Written(text, end)


def _decimals(words: Sequence[str], at: int) -> tuple[str, int]:
    if word_at(words, at) in ("oh", "o") and word_at(words, at + 1) not in NUMBER_WORDS:
        return "0", at + 1
    text, end = digits(words, at, inside=True)
    if text:
        return text, end
    found = below_hundred(words, at)
    return (str(found.value), found.end) if found else ("", at)


def _with_part(words: Sequence[str], whole: Number) -> Written | None:
    """ "two and a half", "five and a quarter", "three and three quarters", "two and two thirds"."""
    if word_at(words, whole.end) != "and":
        return None
    if word_at(words, whole.end + 1) == "a":
        name, end = word_at(words, whole.end + 2), whole.end + 3
        if name == "third" and word_at(words, end) in {"", "of", "times", *UNITS}:
            return Written(f"{whole.value:,} 1/3", end)
        return Written(f"{whole.value:,}.{_PARTS[name]}", end) if name in _PARTS else None
    part_of_one = _proper(words, whole.end + 1)
    if part_of_one is None:
        return None
    decimal = {"3/4": ".75"}.get(part_of_one.text, f" {part_of_one.text}")
    return Written(f"{whole.value:,}{decimal}", part_of_one.end)


def _proper(words: Sequence[str], at: int) -> Written | None:
    """ "two thirds", "three quarters": more than one part, fewer than all."""
    count, below = ONES.get(word_at(words, at), 0), _DENOMINATORS.get(word_at(words, at + 1), 0)
    return Written(f"{count}/{below}", at + 2) if 1 < count < below else None


def fraction(words: Sequence[str], at: int) -> Written | None:
    """ "two thirds of it", not "the first two quarters"."""
    found = _proper(words, at)
    if found is None or word_at(words, found.end) == "of":
        return found
    return None if word_at(words, at - 1) in _BEFORE_PARTS else found


def money(words: Sequence[str], at: int) -> Written | None:
    """ "one thousand two hundred fifty dollars", "five dollars and ten cents", "a dollar fifty"."""
    if word_at(words, at) == "a" and word_at(words, at + 1) in ("dollar", "euro"):
        cents = _cents(words, at + 2, smallest=10)
        sign = CURRENCIES[words[at + 1]]
        return Written(f"{sign}1.{cents.value:02}", cents.end) if cents else None
    amount = _hundred_of(words, at) or quantity(words, at)
    if amount is None or _in_range(words, at):
        return None
    sign = CURRENCIES.get(word_at(words, amount.end), "")
    if not sign:
        return None
    text, end = amount.text, amount.end + 1
    if text.replace(",", "").isdigit():
        if cents := _cents(words, end, smallest=20):
            return Written(f"{sign}{text}.{cents.value:02}", cents.end)
    elif text.endswith(".5") and words[end - 2] == "half":
        text += "0"  # two and a half dollars
    minus, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    return Written(f"{minus}{sign}{text}", end)


def _cents(words: Sequence[str], at: int, smallest: int) -> Number | None:
    """ "and ten cents", "ten cents", "fifty": cents behind an amount, without their name from a
    smallest on. "Twenty dollars ten" may be two amounts."""
    after_and = word_at(words, at) == "and"
    cents = below_hundred(words, at + after_and)
    if cents is None:
        return None
    follows = word_at(words, cents.end)
    if follows in ("cents", "cent"):
        return Number(cents.value, cents.end + 1)
    return cents if follows in _AFTER_CENTS and not after_and and cents.value >= smallest else None


def _in_range(words: Sequence[str], at: int) -> bool:
    """Whether a number before this one has the same currency: "five to ten dollars"."""
    joined = word_at(words, at - 1) in ("to", "or", "and")
    return joined and word_at(words, at - 2) in NUMBER_WORDS


def percent(words: Sequence[str], at: int) -> Written | None:
    """ "two point five percent", "a hundred percent"."""
    amount = _hundred_of(words, at) or quantity(words, at)
    if word_at(words, at) == "hundred" and word_at(words, at - 1) not in _BEFORE_HUNDRED:
        amount = Written("100", at + 1)
    if amount is None:
        return None
    after = word_at(words, amount.end)
    end = amount.end + 1
    if after == "per" and word_at(words, end) == "cent":
        after, end = "percent", end + 1
    return in_digits(f"{amount.text}%", end) if after == "percent" else None


def round_number(words: Sequence[str], at: int) -> Written | None:
    """ "a hundred": words, but digits before a unit or beside another number."""
    found = _hundred_of(words, at)
    if found is None or word_at(words, found.end) in ORDINAL_SCALES:
        return None
    if word_at(words, found.end) in UNITS:
        return in_digits(found.text, found.end)
    return Written(" ".join(words[at : found.end]), found.end, found.text)


def _hundred_of(words: Sequence[str], at: int) -> Written | None:
    """ "a hundred", "a thousand", "a million" in digits."""
    if word_at(words, at) != "a" or cardinal(words, at):
        return None
    if word_at(words, at - 1) in ("half", "quarter", "many", "such", "what"):
        return None
    scale = word_at(words, at + 1)
    if word_at(words, at + 2) in ("million", "thousand", "billion", "hundred", *NUMBER_WORDS):
        return None
    text = {"hundred": "100", "thousand": "1,000"}.get(scale)
    text = f"1 {scale}" if scale in _SCALE_WORDS else text
    return Written(text, at + 2) if text else None
