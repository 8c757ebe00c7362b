"""The rules in their order, and the two passes: written forms, then numbers of a phrase alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from asr.text.numbers.addresses import abbreviation, address
from asr.text.numbers.codes import (
    STREETS,
    counting,
    digit_letter,
    digit_row,
    dotted,
    house_number,
    hundred_hours,
    idiom,
    letter_code,
    pairs,
    telephone,
)
from asr.text.numbers.dates import BEFORE_TIME, date, decade, time, year_number
from asr.text.numbers.names import inflected, is_labelled, monarch, world_war
from asr.text.numbers.phrases import Token, alike
from asr.text.numbers.quantities import UNITS, fraction, money, percent, quantity, round_number
from asr.text.numbers.values import (
    NUMBER_WORDS,
    ONES,
    ORDINAL_ONES,
    TENS,
    below_hundred,
    ordinal,
    ordinal_text,
)
from asr.text.numbers.words import word_at
from asr.text.numbers.written import Rule, Written, in_digits

# "A thirty second break", not the thirty-second one.
_BEFORE_SECONDS = frozenset({*ONES, "a", "every", "per", "another", "each"})
# A rule sees so many words behind its own and before it, so a word costs the same in any segment.
_WORDS_AHEAD = 100
_WORDS_BEFORE = 8


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
    tokens: list[Token] = []
    at = 0
    while at < len(words):
        start = max(0, at - _WORDS_BEFORE)
        for found in _at(words[start : at + _WORDS_AHEAD], at - start):
            end = start + found.end
            tokens.append(Token(found.text, at, end, found.digits, found.ordinal))
            at = end
    return [WrittenForm(token.text, token.first, token.end) for token in alike(tokens, words)]


def write(words: Sequence[str]) -> str:
    """The written text of a segment."""
    return " ".join(form.text for form in written_forms(words))


def _at(words: Sequence[str], at: int) -> list[Written]:
    """The written forms from a word on: what the first rule finds, or several that count."""
    if _is_ambiguous_ordinal(words, at):
        return [Written(words[at + k], at + k + 1) for k in range(3)]
    if numbers := counting(words, at):
        texts = [str(number.value) for number in numbers]
        return [in_digits(text, number.end) for text, number in zip(texts, numbers)]
    found = next((w for rule in RULES if (w := rule(words, at))), None)
    return [found or Written(words[at], at + 1)]


def _is_ambiguous_ordinal(words: Sequence[str], at: int) -> bool:
    """ "Nineteen twenty first" may be 1920, "at five thirty first" half past five."""
    number = below_hundred(words, at)
    if number is None or number.end != at + 1 or word_at(words, at + 1) not in TENS:
        return False
    is_time = number.value < 13 and word_at(words, at - 1) in BEFORE_TIME
    return word_at(words, at + 2) in ORDINAL_ONES and (is_time or 10 <= number.value <= 20)


def _seconds(words: Sequence[str], at: int) -> Written | None:
    """ "a thirty second break"."""
    is_measure = word_at(words, at) in TENS and word_at(words, at + 1) == "second"
    in_range = word_at(words, at - 1) in ("to", "or") and word_at(words, at - 2) in NUMBER_WORDS
    is_count = in_range or word_at(words, at - 1) in _BEFORE_SECONDS
    if not is_measure or not is_count or word_at(words, at + 2) in {"", *STREETS}:
        return None
    return Written(str(TENS[words[at]]), at + 1)


def _ordinal_number(words: Sequence[str], at: int) -> Written | None:
    """An ordinal from ten on; a smaller one is in digits beside such a one."""
    found = ordinal(words, at)
    if found is None:
        return None
    part_of = word_at(words, at - 1) in ("a", "one") and word_at(words, found.end) in ("of", "")
    if found.value >= 1_000_000 or (part_of and found.end == at + 1):  # "a tenth of a second"
        return None
    text = ordinal_text(found.value)
    if found.value >= 10:
        return Written(text, found.end, text, ordinal=True)
    if words[at] in ORDINAL_ONES and words[at] != "second":
        return Written(words[at], found.end, text, ordinal=True)
    return None


def _number(words: Sequence[str], at: int) -> Written | None:
    """A quantity; below ten in words where no unit or label stands beside it."""
    found = quantity(words, at)
    if found is None:
        return None
    is_small = found.text.isdigit() and int(found.text) < 10
    is_named = word_at(words, found.end) in UNITS or is_labelled(words, at, found.end)
    text = " ".join(words[at : found.end]) if is_small and not is_named else found.text
    return Written(text, found.end, found.text)


RULES: tuple[Rule, ...] = (  # the first that finds something holds
    address,
    monarch,
    world_war,
    inflected,
    date,
    dotted,
    telephone,
    idiom,
    house_number,
    hundred_hours,
    time,
    money,
    percent,
    fraction,
    decade,
    _seconds,
    digit_letter,
    digit_row,
    year_number,
    pairs,
    _ordinal_number,
    round_number,
    _number,
    letter_code,
    abbreviation,
)
