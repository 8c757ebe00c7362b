"""Numbers of names: monarchs and wars in Roman numerals, chapters and models in digits."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.values import ONES, ordinal, word_at
from asr.text.numbers.written import Written

# A number behind these is written in digits, also one below ten.
LABELS = frozenset(
    (  # noqa: SIM905
        "chapter page section room gate flight route highway interstate channel level step part "
        "question unit apartment season episode volume line platform track number version article "
        "figure table exercise grade phase lesson verse bus zone size stage type category terminal "
        "exit seat row aisle scene suite pier psalm problem rule item extension symphony "
        "apollo gemini soyuz voyager falcon boeing airbus windows python java iphone ipad galaxy "
        "pixel android playstation xbox formula mach foot"
    ).split()
)
_NOT_NUMBERED = frozenset({"of", "or", "another", "day", "person", "thing", "more", "to"})
MONARCHS = frozenset(
    (  # noqa: SIM905
        "henry louis george edward charles james william richard philip elizabeth john paul "
        "benedict pius leo napoleon catherine frederick ivan peter alexander nicholas wilhelm "
        "gregory clement innocent urban boniface mary ferdinand francis christian gustav felipe "
        "juan carlos leopold albert otto rudolf"
    ).split()
)
_TITLES = frozenset(
    "king queen pope emperor empress tsar czar kaiser prince sultan".split()  # noqa: SIM905
)
# "I told John the second time".
_NOT_REIGNING = frozenset(
    (  # noqa: SIM905
        "time day one man person thing week year month way part half place floor book chapter "
        "grade car round game question door night morning"
    ).split()
)


def monarch(words: Sequence[str], at: int) -> Written | None:
    """The number of "henry the eighth", "king harald the fifth"."""
    is_monarch = word_at(words, at - 1) in MONARCHS or word_at(words, at - 2) in _TITLES
    if word_at(words, at) != "the" or not is_monarch:
        return None
    number = ordinal(words, at + 1)
    if number is None or number.value > 39 or word_at(words, number.end) in _NOT_REIGNING:
        return None
    return Written(_roman(number.value), number.end)


def world_war(words: Sequence[str], at: int) -> Written | None:
    """The number of "world war two"."""
    if word_at(words, at - 2) != "world" or word_at(words, at - 1) != "war":
        return None
    value = ONES.get(word_at(words, at), 0)
    return Written(_roman(value), at + 1) if value else None


def is_labelled(words: Sequence[str], at: int, end: int) -> bool:
    """Whether a number belongs to the noun before it: "chapter four", not "part one of us"."""
    if word_at(words, at - 1) not in LABELS:
        return word_at(words, at - 1) == "act" and word_at(words, end) == "scene"
    if word_at(words, at - 1) == "foot":  # "five foot ten"
        return word_at(words, at - 2) in ONES
    return word_at(words, at) != "one" or word_at(words, end) not in _NOT_NUMBERED


def _roman(value: int) -> str:
    text = ""
    for amount, letters in ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        while value >= amount:
            text, value = text + letters, value - amount
    return text
