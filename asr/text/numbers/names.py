"""Numbers of names: monarchs and wars in Roman numerals, chapters and models in digits."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.addresses import abbreviation
from asr.text.numbers.codes import idiom, letter_code, row_or_pair
from asr.text.numbers.values import (
    INFLECTED,
    NUMBER_WORDS,
    OH,
    ONES,
    TENS,
    cardinal,
    ordinal,
)
from asr.text.numbers.words import says, word_at, word_set
from asr.text.numbers.written import Written

# A number behind these is written in digits, also one below ten.
LABELS = word_set(
    "chapter page section room gate flight route highway interstate channel level step part "
    "question unit apartment season episode volume line platform track number version article "
    "figure table exercise grade phase lesson verse bus zone size stage type category terminal "
    "exit seat row aisle scene suite pier psalm problem rule item extension symphony "
    "apollo gemini soyuz voyager falcon boeing airbus windows python java iphone ipad galaxy "
    "pixel android playstation xbox formula mach foot"
)
_AIRCRAFT = frozenset({"boeing", "airbus"})
_NOT_NUMBERED = frozenset({"of", "or", "another", "day", "person", "thing", "more", "to"})
MONARCHS = word_set(
    "henry louis george edward charles james william richard philip elizabeth john paul "
    "benedict pius leo napoleon catherine frederick ivan peter alexander nicholas wilhelm "
    "gregory clement innocent urban boniface mary ferdinand francis christian gustav felipe "
    "juan carlos leopold albert otto rudolf"
)
_TITLES = word_set("king queen pope emperor empress tsar czar kaiser prince sultan")
# "I told John the second time".
_NOT_REIGNING = word_set(
    "time day one man person thing week year month way part half place floor book chapter "
    "grade car round game question door night morning"
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
    """The number of "world war two", not of "world war three thousand"."""
    number = cardinal(words, at) if says(words, at - 2, "world war") else None
    is_war = number and number.end == at + 1 and 1 <= number.value < 10
    return Written(_roman(number.value), number.end) if number and is_war else None


def inflected(words: Sequence[str], at: int) -> Written | None:
    """The plural or the genitive of a number: "seven forty sevens" are 747s, "f sixteens" F16s,
    "m p threes" MP3s, "nine eleven's" is 9/11's. "Twenty fives" may be twenty of them."""
    end = at
    while (word := word_at(words, end)) in NUMBER_WORDS or word in OH or len(word) == 1:
        end += 1
    if end == at or word not in INFLECTED:
        return None
    stem, ending = INFLECTED[words[end]]
    singular = [*words[at:end], stem]
    found = letter_code(singular, 0) or abbreviation(singular, 0)
    is_boeing = words[at] == "seven" == stem
    if ending == "'s" or is_boeing or word_at(words, at - 1) in _AIRCRAFT:
        found = found or idiom(singular, 0) or row_or_pair(singular, 0)
    if found and found.end == len(singular):
        return Written(found.text + ending, end + 1)
    is_ambiguous = end == at + 1 and words[at] in TENS and stem in ONES
    return Written(f"{words[at]} {words[end]}", end + 1) if is_ambiguous else None


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
