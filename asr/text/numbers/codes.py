"""Numbers that are said digit by digit or pair by pair: telephone numbers, codes, models, house
numbers; and counting, which is not such a number."""

from __future__ import annotations

from collections.abc import Sequence

from asr.text.numbers.quantities import SINGULAR_MEASURES
from asr.text.numbers.values import (
    NUMBER_WORDS,
    ONES,
    Number,
    below_hundred,
    cardinal,
    digits,
    word_at,
)
from asr.text.numbers.written import Written

# Up to four words before a row of digits these say that it is one number.
CODE_CUES = frozenset(
    (  # noqa: SIM905
        "number numbers code codes pin call dial zip postcode flight room error extension account "
        "password passcode combination route highway interstate bus serial reference order invoice "
        "ticket box phone telephone text fax area gate channel model port isbn locker suite"
    ).split()
)
STREETS = frozenset(
    (  # noqa: SIM905
        "street avenue road drive lane boulevard court place terrace square highway parkway alley"
    ).split()
)
_LETTERED = frozenset("seat gate apartment room row section suite platform unit".split())  # noqa: SIM905
_PRONOUN_BEFORE_ONE = frozenset(
    "no any some every each another this that which the only other".split()  # noqa: SIM905
)
_BOOKS = frozenset(  # of the Bible: chapter and verse follow
    "genesis exodus isaiah matthew mark luke john romans corinthians hebrews revelation".split()  # noqa: SIM905
)
_IDIOMS = {
    ("nine", "eleven"): "9/11",
    ("twenty", "four", "seven"): "24/7",
    ("seven", "eleven"): "7-Eleven",
    ("ten", "four"): "10-4",
}
_SIGHT = frozenset({"vision", "eyesight", "sight"})


def counting(words: Sequence[str], at: int) -> list[Number]:
    """Three numbers or more in equal steps, "one two three", "ten nine eight": each is a number of
    its own. Behind a cue such as "code" they are not counting."""
    run: list[Number] = []
    position = at
    while (found := below_hundred(words, position)) is not None:
        if len(run) > 1 and found.value - run[-1].value != run[1].value - run[0].value:
            break
        run.append(found)
        position = found.end
    if run and word_at(words, run[-1].end) in ("hundred", "thousand", "million", "point"):
        run.pop()
    if len(run) < 3 or run[0].value == run[1].value or _cued(words, at):
        return []
    if word_at(words, at - 1) in NUMBER_WORDS or at_street(words, run[-1].end):
        return []
    # More digits behind those in equal steps: a longer row, which does not count.
    text, end = digits(words, at)
    return [] if len(text) > len(run) and end > run[-1].end else run


def telephone(words: Sequence[str], at: int) -> Written | None:
    """Seven, ten or eleven digits, with "dash" or "hundred" between them where they were said."""
    if word_at(words, at - 1) in NUMBER_WORDS:
        return None
    text, end = digits(words, at)
    if word_at(words, end) == "hundred" and len(text) in (1, 2):
        text, end = text + "00", end + 1
    while text and word_at(words, end) in ("dash", "hyphen"):
        more, after = digits(words, end + 1)
        if not more:
            break
        text, end = text + more, after
    if word_at(words, end - 1) == "hundred":
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


def digit_row(words: Sequence[str], at: int) -> Written | None:
    """Three single digits or more that do not count, two behind a cue: "four oh four"."""
    text, end = digits(words, at)
    if word_at(words, end) in {"hundred", "thousand", "million", "point"}:
        return None
    if len(text) == 2 and end == at + 2 and _cued(words, at):
        pair = below_hundred(words, at + 1)
        return Written(text, end) if pair and pair.end == end else None
    return Written(text, end, text) if len(text) >= 3 else None


def hundred_hours(words: Sequence[str], at: int) -> Written | None:
    """The time of "oh eight hundred hours"."""
    hour = below_hundred(words, at + (word_at(words, at) == "oh"))
    if hour is None or list(words[hour.end : hour.end + 2]) != ["hundred", "hours"]:
        return None
    return Written(f"{hour.value:02}00", hour.end + 1) if hour.value < 25 else None


def pairs(words: Sequence[str], at: int) -> Written | None:
    """ "seven forty seven" is 747, "one oh five" 105, and before a street "twenty one fifty" 2150.
    Not "eight nine ten" nor "two ten dollar bills"."""
    first = below_hundred(words, at)
    if first is None or first.value == 0 or word_at(words, at - 1) in NUMBER_WORDS:
        return None
    if word_at(words, at) == "one" and word_at(words, at - 1) in _PRONOUN_BEFORE_ONE:
        return None
    second = below_hundred(words, first.end)
    if word_at(words, first.end) == "oh" and word_at(words, first.end + 1) in ONES:
        one = ONES[words[first.end + 1]]
        return Written(f"{first.value}0{one}", first.end + 2, f"{first.value}0{one}")
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
        return Written(text, second.end, text)
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
        number = _row_or_pair(words, position)
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
    row = _row_or_pair(words, at)
    if row is None or len(word_at(words, row.end)) != 1 or words[row.end] in "io":
        return None
    is_seat = word_at(words, at - 1) in _LETTERED
    is_article = words[row.end] == "a" and row.end + 1 < len(words)
    if is_article or not (is_seat or at_street(words, row.end + 1)):
        return None
    return Written(row.text + words[row.end].upper(), row.end + 1)


def _row_or_pair(words: Sequence[str], at: int) -> Written | None:
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
            follows = word_at(words, end)
            goes_on = follows in NUMBER_WORDS - {"two"} or follows in SINGULAR_MEASURES
            if follows in ("am", "pm", "o'clock") or word_at(words, end + 1) == "m":
                return None
            return None if goes_on else Written(text, end, text)
    first = below_hundred(words, at)
    second = below_hundred(words, first.end) if first else None
    if first is None or second is None or word_at(words, second.end) in NUMBER_WORDS:
        return None
    sight = word_at(words, second.end) in _SIGHT or "hindsight" in words[max(0, at - 3) : at]
    shares = first.value % 10 == 0 and first.value >= 50 and first.value + second.value == 100
    if shares or (sight and first.end == at + 1):
        return Written(f"{first.value}/{second.value}", second.end)
    return None


def _cued(words: Sequence[str], at: int) -> bool:
    return not CODE_CUES.isdisjoint(words[max(0, at - 4) : at])


def at_street(words: Sequence[str], at: int) -> bool:
    """Whether a street's name follows: "main street", "north oak avenue"."""
    return not STREETS.isdisjoint(words[at + 1 : at + 3])
