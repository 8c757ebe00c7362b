"""Numbers that are said digit by digit or pair by pair: telephone numbers, codes, models, house
numbers; and counting, which is not such a number."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.quantities import SINGULAR_MEASURES, UNITS
from asr.text.numbers.values import (
    NUMBER_WORDS,
    OH,
    Number,
    below_hundred,
    cardinal,
    digits,
    zero_and_digit,
)
from asr.text.numbers.words import counted, says, word_at, word_set
from asr.text.numbers.written import Written, in_digits

# Up to four words before a row of digits these say that it is one number.
CODE_CUES = word_set(
    "number numbers code codes pin call dial zip postcode flight room error extension account "
    "password passcode combination route highway interstate bus serial reference order invoice "
    "ticket box digits phone telephone text fax area gate channel model port isbn locker suite"
)
STREETS = word_set(
    "street avenue road drive lane boulevard court place terrace square highway parkway alley"
)
_LETTERED = word_set("seat gate apartment room row section suite platform unit")
_PRONOUN_BEFORE_ONE = word_set("no any some every each another this that which the only other")
_BOOKS = word_set(  # of the Bible: chapter and verse follow
    "genesis exodus isaiah matthew mark luke john romans corinthians hebrews revelation"
)
_IDIOMS = {
    ("nine", "eleven"): "9/11",
    ("twenty", "four", "seven"): "24/7",
    ("seven", "eleven"): "7-Eleven",
    ("ten", "four"): "10-4",
}
PARTS_OF_DAY = ("in the morning", "in the afternoon", "in the evening", "at night")
_SIGHT = frozenset({"vision", "eyesight", "sight"})
# Plurals behind an idiom that count nothing: "nine eleven attacks", but "nine eleven people".
_AFTER_IDIOM = word_set(
    "attacks victims survivors families hijackers terrorists responders stores shops employees "
    "news services operations odds chances splits"
)
_AFTER_PRONOUN = word_set("of more day thing or and is was")  # "oh one of them"


def counting(words: Sequence[str], at: int) -> list[Number]:
    """Three numbers or more in equal steps, "one two three", "ten nine eight": each is a number of
    its own. Behind a cue such as "code" they are not counting."""
    run: list[Number] = []
    position = at
    while (found := below_hundred(words, position)) is not None:
        if len(run) > 1 and found.value - run[-1].value != run[1].value - run[0].value:
            break
        if run and found.value == run[0].value:
            break
        run.append(found)
        position = found.end
    if run and word_at(words, run[-1].end) in ("hundred", "thousand", "million", "point"):
        run.pop()
    if len(run) < 3 or _cued(words, at):
        return []
    if word_at(words, at - 1) in NUMBER_WORDS or at_street(words, run[-1].end):
        return []
    # More digits behind those in equal steps: a longer row, which does not count.
    text, end = _digit_row(words, at)
    return [] if len(text) > len(run) and end > run[-1].end else run


def telephone(words: Sequence[str], at: int) -> Written | None:
    """Seven, ten or eleven digits, with "dash" or "hundred" between them where they were said."""
    if word_at(words, at - 1) in NUMBER_WORDS:
        return None
    text, end = _digit_row(words, at)
    if word_at(words, end) == "hundred" and len(text) in (1, 2):
        text, end = text + "00", end + 1
    while 0 < len(text) < 11 and word_at(words, end) in ("dash", "hyphen"):
        more, after = digits(words, end + 1)
        if not more:
            break
        text, end = text + more, after
    if word_at(words, end - 1) == "hundred":
        more, after = digits(words, end)
        if len(more) != 7:
            return None
        text, end = text + more, after
    if len(text) == 11 and text[0] == "0":
        return in_digits(text, end)  # "oh eight hundred", as in Britain
    country = ""
    if len(text) == 11 and text[0] == "1":
        country, text = "1-", text[1:]
    if len(text) == 10:
        return Written(f"{country}{text[:3]}-{text[3:6]}-{text[6:]}", end)
    if len(text) == 7:
        return Written(f"{text[:3]}-{text[3:]}", end)
    return None


def digit_row(words: Sequence[str], at: int) -> Written | None:
    """Three single digits or more that do not count, two behind a cue: "four oh four"."""
    text, end = _digit_row(words, at)
    if word_at(words, end) in {"hundred", "thousand", "million", "point"}:
        return None
    is_code = len(text) >= 3 or (len(text) == 2 and end == at + 2 and _cued(words, at))
    return in_digits(text, end) if is_code else None


def _digit_row(words: Sequence[str], at: int) -> tuple[str, int]:
    """Digits and where they end. They begin with "oh" where that is no exclamation: behind a cue,
    with another zero inside, and in a telephone number."""
    if word_at(words, at) not in OH or word_at(words, at - 1) in NUMBER_WORDS:
        return digits(words, at)
    text, end = digits(words, at, inside=True)
    if len(text) == 2 and (words[end - 1] == "one" and word_at(words, end) in _AFTER_PRONOUN):
        return "", at
    has_zero = "0" in text.lstrip("0") or "zero" in words[at:end]
    is_row = _cued(words, at) or len(text) >= 7 or (len(text) >= 3 and has_zero)
    return (text, end) if is_row else ("", at)


def hundred_hours(words: Sequence[str], at: int) -> Written | None:
    """The time of "oh eight hundred hours", "fifteen hundred hours"; "hours of" something are no
    time, and "eight hundred hours" may be none."""
    zero = word_at(words, at) in ("oh", "zero")
    hour = below_hundred(words, at + zero)
    if hour is None or not says(words, hour.end, "hundred hours"):
        return None
    is_hour = 0 < hour.value < 10 if zero else 10 <= hour.value < 25
    if not is_hour or word_at(words, hour.end + 2) == "of":
        return None
    return Written(f"{hour.value:02}00", hour.end + 1)


def pairs(words: Sequence[str], at: int) -> Written | None:
    """ "seven forty seven" is 747, "one oh five" 105, and before a street "twenty one fifty" 2150.
    Not "eight nine ten" nor "two ten dollar bills"."""
    first = below_hundred(words, at)
    if first is None or first.value == 0 or word_at(words, at - 1) in NUMBER_WORDS:
        return None
    if word_at(words, at) == "one" and word_at(words, at - 1) in _PRONOUN_BEFORE_ONE:
        return None
    second = below_hundred(words, first.end)
    if tail := zero_and_digit(words, first.end):
        return in_digits(f"{first.value}{tail.value:02}", tail.end)
    if second is None or second.value < 10:
        return None
    follows = word_at(words, second.end)
    if word_at(words, second.end + 1) == "ago":  # "i saw one ten years ago"
        return None
    if follows in NUMBER_WORDS | SINGULAR_MEASURES and not _cued(words, at):
        return None
    if (first.value < 10 and second.value != first.value + 1) or at_street(words, second.end):
        sign = ":" if word_at(words, at - 1) in _BOOKS else ""  # "john three sixteen"
        text = f"{first.value}{sign}{second.value}"
        return in_digits(text, second.end)
    return None


def letter_code(words: Sequence[str], at: int) -> Written | None:
    """Letters and digits in turn: "r two d two", "h two o", "f sixteen", "two two one b"."""
    if word_at(words, at) in ("a", "i", "o"):
        return None
    text, position = "", at
    while position < len(words):
        word = words[position]
        if len(word) == 1 and word.isalpha() and (word not in "ai" or not text[-1:].isdigit()):
            text, position = text + word.upper(), position + 1
            continue
        number = row_or_pair(words, position)
        if number is None or (text and text[-1].isdigit()):
            break
        text, position = text + number.text, number.end
    if word_at(words, position) in {*NUMBER_WORDS, "point", "dot", "at", "oh"}:
        return None
    if word_at(words, at - 1) in NUMBER_WORDS or not text[:1].isalpha() or text.isalpha():
        return None
    return Written(text, position)


def digit_letter(words: Sequence[str], at: int) -> Written | None:
    """ "three d", "five g", "four k": a number and the letter that is read with it."""
    number = below_hundred(words, at)
    if number is None or word_at(words, number.end) not in ("d", "g", "k"):
        return None
    follows = word_at(words, number.end + 1)
    if (len(follows) == 1 and follows not in ("a", "i")) or word_at(words, at - 1) in NUMBER_WORDS:
        return None
    return Written(f"{number.value}{words[number.end].upper()}", number.end + 1)


def dotted(words: Sequence[str], at: int) -> Written | None:
    """ "one nine two dot one six eight dot one dot one", "three dot five"."""
    parts: list[str] = []
    end = position = at
    while True:
        text, after = digits(words, position)
        if not text and (number := cardinal(words, position)):
            text, after = str(number.value), number.end
        if not text:
            break
        parts, end, position = [*parts, text], after, after + 1
        if word_at(words, after) != "dot":
            break
    return Written(".".join(parts), end) if len(parts) > 1 else None


def house_number(words: Sequence[str], at: int) -> Written | None:
    """ "two two one b baker street", "seat twelve c": a letter behind a house or seat number."""
    row = row_or_pair(words, at)
    if row is None or len(word_at(words, row.end)) != 1 or words[row.end] in "io":
        return None
    is_seat = word_at(words, at - 1) in _LETTERED
    is_article = words[row.end] == "a" and row.end + 1 < len(words)
    if is_article or not (is_seat or at_street(words, row.end + 1)):
        return None
    return Written(row.text + words[row.end].upper(), row.end + 1)


def row_or_pair(words: Sequence[str], at: int) -> Written | None:
    """A row of digits, a pair or a number below a hundred."""
    found = digit_row(words, at) or pairs(words, at)
    number = below_hundred(words, at)
    return found or (Written(str(number.value), number.end) if number else None)


def idiom(words: Sequence[str], at: int) -> Written | None:
    """Pairs of numbers that are written in a way of their own: "nine eleven", "fifty fifty"."""
    before = word_at(words, at - 1)
    if before in NUMBER_WORDS or before in ("at", "by") or _cued(words, at):
        return None
    for spoken, text in _IDIOMS.items():
        end = at + len(spoken)
        if tuple(words[at:end]) == spoken:
            return None if _counts(words, end) else in_digits(text, end)
    first = below_hundred(words, at)
    second = below_hundred(words, first.end) if first else None
    if first is None or second is None or _counts(words, second.end):
        return None
    sight = word_at(words, second.end) in _SIGHT or "hindsight" in words[max(0, at - 3) : at]
    shares = first.value % 10 == 0 and first.value >= 50 and first.value + second.value == 100
    if shares or (sight and first.end == at + 1):
        return Written(f"{first.value}/{second.value}", second.end)
    return None


def _counts(words: Sequence[str], at: int) -> bool:
    """Whether what stands behind two numbers makes them a count, a time or parts of others."""
    word = word_at(words, at)
    if word in ("am", "pm", "o'clock") or word_at(words, at + 1) == "m":
        return True
    if any(says(words, at, part) for part in PARTS_OF_DAY):
        return True
    if word in NUMBER_WORDS - {"two"} or word in SINGULAR_MEASURES | UNITS:
        return True
    return counted(word) and word not in _AFTER_IDIOM


def _cued(words: Sequence[str], at: int) -> bool:
    return not CODE_CUES.isdisjoint(words[max(0, at - 4) : at])


def at_street(words: Sequence[str], at: int) -> bool:
    """Whether a street's name follows: "main street", "north oak avenue"."""
    return not STREETS.isdisjoint(words[at + 1 : at + 3])
