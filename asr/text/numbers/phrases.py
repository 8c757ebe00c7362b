"""The numbers of a phrase alike: all in digits or all in words.

Numbers belong to one phrase where they stand beside each other or are joined: "five to twelve",
"two plus two equals four", "three dogs and ten cats", "two hours and thirty minutes". If one of
them is written in digits, so are the others; a sum is in digits always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from asr.text.numbers.quantities import SINGULAR_MEASURES
from asr.text.numbers.words import word_at, word_set

_JOINS = word_set("to or and through by versus in past after till until")
_OPERATORS = frozenset({"plus", "minus", "times", "equals", "divided by"})
_LONGER_JOINS = frozenset({"out of", "times out of", "up to", "and then"})
_ORDINAL_JOINS = frozenset({"to the", "and the", "or the", "through the"})
_MEASURES = word_set(
    "hour hours minute minutes second seconds day days week weeks month months year years foot "
    "feet inch inches pound pounds ounce ounces"
)
# "No one", "the one": no number.
_BEFORE_PRONOUN = word_set(
    "no any some every each another this that which the only other not loved little big good "
    "new old next last first"
)
_AFTER_PRONOUN = frozenset({"of", "another", "who", "that", "day", "is", "was"})


class Token(NamedTuple):
    """A written token: the words first to end, exclusive."""

    text: str
    first: int
    end: int
    digits: str = ""  # of a number, its form in digits
    ordinal: bool = False


def alike(tokens: list[Token], words: Sequence[str]) -> list[Token]:
    """The tokens with the numbers of each phrase in one form."""
    done: list[Token] = []
    numbers = [k for k, token in enumerate(tokens) if _is_number(token, words)]
    changed = dict.fromkeys(range(len(tokens)), False)
    at = 0
    while at < len(numbers):
        phrase, is_sum = [numbers[at]], False
        while at + 1 < len(numbers):
            joined = _joined(tokens, words, numbers[at], numbers[at + 1], is_sum)
            if not joined:
                break
            is_sum = is_sum or joined == "sum"
            at += 1
            phrase.append(numbers[at])
        in_digits = any(tokens[k].text == tokens[k].digits for k in phrase)
        if len(phrase) > 1 and (is_sum or in_digits):
            changed.update(dict.fromkeys(phrase, True))
        at += 1
    for k, token in enumerate(tokens):
        done.append(token._replace(text=token.digits) if changed[k] else token)
    return done


def _is_number(token: Token, words: Sequence[str]) -> bool:
    """Whether a token is a number that may be in digits; "one" is often a pronoun."""
    if not token.digits:
        return False
    if token.text != "one":
        return True
    before, after = word_at(words, token.first - 1), word_at(words, token.end)
    return before not in _BEFORE_PRONOUN and after not in _AFTER_PRONOUN


def _joined(
    tokens: list[Token], words: Sequence[str], first: int, second: int, in_sum: bool
) -> str:
    """How two numbers belong together: "sum", "phrase" or not at all."""
    one, two = tokens[first], tokens[second]
    if one.ordinal != two.ordinal:
        return ""
    between = list(words[one.end : two.first])
    text = " ".join(between)
    if text in _OPERATORS or (in_sum and text in ("is", "makes", "are")):
        return "sum"
    if not between:
        # "two ten dollar bills" are two of something.
        is_count = word_at(words, two.end) in SINGULAR_MEASURES
        is_ago = word_at(words, two.end + 1) == "ago"  # "i saw one ten years ago"
        return "" if is_count or is_ago else "phrase"
    if text in _JOINS or text in _LONGER_JOINS or (one.ordinal and text in _ORDINAL_JOINS):
        return "phrase"
    if between[0] in _MEASURES and between[1:] in ([], ["and"]):
        return "phrase" if word_at(words, two.end) in _MEASURES else ""
    nouns = len(between) == 2 and between[1] in ("and", "or") and one.text != "one"
    return "phrase" if nouns and between[0] not in ("of", "to", "in", "at") else ""
