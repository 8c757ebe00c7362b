"""Reads a written form aloud, to compare it with the words that it stands for.

This knows nothing of the rules that write: it has the ways in which a number may be said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from num2words import num2words

_ROMAN = {"I": 1, "V": 5, "X": 10}
_SIGNS = {
    ".": ("dot", "point"), "-": ("dash", "hyphen", "minus", "negative"), "/": ("slash",),
    "_": ("underscore",), "+": ("plus",), "@": ("at",), ":": ("colon",),
    "%": ("percent", "per cent"),
}  # fmt: skip
_CURRENCIES = {"$": ("dollar", "dollars"), "€": ("euro", "euros"), "¥": ("yen",)}
_PARTS = {".5": ("a half",), ".25": ("a quarter",), ".75": ("three quarters",), "1/3": ("a third",)}
_DENOMINATORS = "halves thirds quarters fifths sixths sevenths eighths ninths tenths".split()  # noqa: SIM905
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905


def is_read_as(text: str, said: list[str]) -> bool:
    """Whether the words say the written form, all of it and nothing else."""
    if text == " ".join(said):
        return True
    if re.fullmatch("[IVX]+", text) and said != [text.lower()]:
        return said[-1] in _spoken(_from_roman(text)) or said[1:] == _ordinal(
            _words(_from_roman(text))
        )
    words = _plain(said)
    if text[:2].strip("-")[:1] in _CURRENCIES:
        sign = text.strip("-")[0]
        money = next((word for word in words if word in _CURRENCIES[sign]), "")
        if not money:
            return False
        words.remove(money)
        if re.search(r"\.\d\d$", text) and "point" not in words and "half" not in words:
            words = [word for word in words if word not in ("cent", "cents")]
            text = text[:-3] + " " + text[-2:].removeprefix("0")
        elif "half" in words:
            text = text.removesuffix("0")
        text = text.replace(sign, "")
    return _match(text, tuple(words), text[:3] in _MONTHS)


def _plain(said: list[str]) -> list[str]:
    """Words with one form of each number word."""
    words: list[str] = []
    for word in said:
        if word == "and":
            continue
        zero = words and words[-1] in ("double", "triple") and word == "oh"
        word = "zero" if zero else word
        if words and words[-1] in ("double", "triple") and word in _DIGITS:
            words[-1:] = [word] * {"double": 2, "triple": 3}[words[-1]]
        else:
            words.append(word)
    return words


@cache
def _match(text: str, words: tuple[str, ...], is_date: bool) -> bool:
    if not text and not words:
        return True
    rests = {*_signs(text, words), *_numbers(text, words, is_date)}
    if words and text.lower().startswith(words[0]):
        rests.add((text[len(words[0]) :], words[1:]))
    if is_date and words[:1] == ("the",):
        rests.add((text, words[1:]))
    return any(_match(rest, left, is_date) for rest, left in rests)


def _signs(text: str, words: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is left behind a sign, which some numbers have without its word."""
    if text[:1] in set(", -/:"):
        yield text[1:], words
    spoken = [(text[:1], names) for names in [_SIGNS.get(text[:1], ())]]
    spoken += [(part, names) for part, names in _PARTS.items() if text.startswith(part)]
    for written, names in spoken:
        for name in names:
            if rest := _behind(words, name.split()):
                yield text[len(written) :], rest[0]


def _numbers(
    text: str, words: tuple[str, ...], is_date: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is left behind a number or some of its digits."""
    if found := re.match(r"([1-9])/(\d+)", text):
        count, below = int(found[1]), int(found[2])
        names = {_DENOMINATORS[below - 2], "fourths" if below == 4 else ""} if below < 11 else set()
        for name in names:
            if rest := _behind(words, [num2words(count), name]):
                yield text[found.end() :], rest[0]
    for found in re.finditer(r"\d+(?:,\d{3})*", text):
        if found.start():
            break
        whole = found[0]
        chunks = {whole, *(whole[:length] for length in range(1, whole.find(",") % 99 + 1))}
        if "," not in whole:
            chunks = {whole[:length] for length in range(1, len(whole) + 1)}
        for chunk in chunks:
            rest_text = text[len(chunk) :]
            for spoken in _spoken(int(chunk.replace(",", "")), chunk):
                rest = _behind(words, spoken.split())
                # "Twenty five" is no 205.
                joins = spoken.split()[-1] in _TENS and rest and rest[0][:1] and rest[0][0] in _ONES
                if rest and not (joins and rest_text[:1].isdigit()):
                    yield rest_text, rest[0]
                for ending in ("s", "'s"):
                    plural = _plural(spoken, ending)
                    if rest_text.startswith(ending) and (rest := _behind(words, plural)):
                        yield rest_text[len(ending) :], rest[0]
                suffix = re.match("st|nd|rd|th", rest_text)
                if (suffix or is_date) and (rest := _behind(words, _ordinal(spoken))):
                    yield rest_text[suffix.end() if suffix else 0 :], rest[0]


def _behind(words: tuple[str, ...], said: list[str]) -> list[tuple[str, ...]]:
    """The words behind some that they begin with; empty if they do not."""
    return [words[len(said) :]] if words[: len(said)] == tuple(said) else []


def _words(number: int) -> str:
    return " ".join(re.findall("[a-z]+", num2words(number).replace(" and ", " ")))


@cache
def _spoken(number: int, chunk: str = "") -> frozenset[str]:
    """How a number is said, or digits of a longer one: "00" is "hundred" or "oh oh"."""
    if chunk == "0":
        return frozenset({"zero", "oh", "o"})
    if chunk in ("00", "000"):
        return frozenset({"hundred" if chunk == "00" else "thousand"})
    if chunk.startswith("0"):
        return frozenset()
    spoken = {_words(number)}
    if number % 100 == 0 and number < 10_000:
        spoken.add(f"{_words(number // 100)} hundred")
    if 1000 <= number < 10_000 and number % 100:
        spoken.add(f"{_words(number // 100)} hundred {_words(number % 100)}")
    spoken |= {text.replace("one ", "a ", 1) for text in spoken if text.startswith("one ")}
    spoken |= {"a"} if number == 1 else {"hundred"} if number == 100 else set()
    return frozenset(spoken)


def _ordinal(spoken: str) -> list[str]:
    *first, last = spoken.split()
    return [*first, _ORDINALS.get(last, "")]


def _plural(spoken: str, ending: str) -> list[str]:
    *first, last = spoken.split()
    if ending == "s":
        last = last[:-1] + "ie" if last.endswith("y") else last + "e" * (last == "six")
    return [*first, last + ending]


def _from_roman(text: str) -> int:
    values = [_ROMAN[letter] for letter in text]
    return sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))


_DIGITS = frozenset({"zero", *(num2words(value) for value in range(1, 10))})
_ONES = _DIGITS - {"zero"}
_TENS = frozenset(num2words(value) for value in range(20, 100, 10))
_ORDINALS = {
    num2words(value): num2words(value, to="ordinal").removeprefix("one ")
    for value in (*range(1, 21), *range(30, 100, 10))
} | {"hundred": "hundredth", "thousand": "thousandth"}
