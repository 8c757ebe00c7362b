"""Written English as it is read aloud: "In 2024, Dr. Ray won 5 %" becomes "in twenty twenty four
doctor ray won five percent". `rill lm spoken` prepares texts for language models with it.

num2words spells numbers. A sentence whose spoken form is unclear (URLs, code, markup, foreign
letters, hashes) is left out.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from num2words import num2words

from asr.errors import DataError
from asr.text.normalise import normalise, unspellable
from asr.text.sentences import read_lines
from training.language_model.texts import no_usable_sentence

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z0-9])")
_MARKUP = re.compile(
    r"[{}<>=\\_|^~@`\[\]]|https?:|www\.|::|->|//|\w/\w+/|[A-Za-z]\.(?:js|py|go|rb|ts|md|txt|html|php)\b"
)
_DOTTED = re.compile(r"(?<=[A-Za-z0-9])\.(?=com\b|org\b|net\b|gov\b|io\b|dev\b|fm\b)")
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "ms", "dr": "doctor", "prof": "professor",
    "capt": "captain", "gen": "general", "sgt": "sergeant", "lt": "lieutenant", "col": "colonel",
    "rev": "reverend", "gov": "governor", "sen": "senator", "rep": "representative",
    "jr": "junior", "sr": "senior", "vs": "versus", "etc": "et cetera", "e.g": "for example",
    "i.e": "that is", "approx": "approximately", "dept": "department", "inc": "incorporated",
    "jan": "January", "feb": "February", "aug": "August", "sept": "September", "oct": "October",
    "nov": "November", "dec": "December", "mt": "mount", "ft": "fort",
}  # fmt: skip
_ABBREVIATION = re.compile(
    r"\b(" + "|".join(re.escape(short) for short in _ABBREVIATIONS) + r")\.(?!\w)", re.IGNORECASE
)
_TITLE = re.compile(r"\b(Mr|Mrs|Ms|Dr)\b(?=\s[A-Z])")  # as British texts write them
_SAINT = re.compile(r"\bSt\.?(?=\s[A-Z])")
_STREET = re.compile(r"\bSt\.(?!\w)")
_MINUS = re.compile(r"(?<!\S)[-−](?=\d)")
_SHARP = re.compile(r"\b([CF])#")
_NUMBER_SIGN = re.compile(r"(?:\bNo\.\s?|\bNos\.\s?|#)(?=\d)")
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}")

_UNITS = {
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms",
    "mg": "milligrams", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "ft": "feet",
    "mph": "miles an hour", "km/h": "kilometers an hour", "hz": "hertz", "khz": "kilohertz",
    "mhz": "megahertz", "ghz": "gigahertz", "kb": "kilobytes", "mb": "megabytes",
    "gb": "gigabytes", "tb": "terabytes", "ms": "milliseconds", "min": "minutes", "hrs": "hours",
    "°": "degrees", "°c": "degrees celsius", "°f": "degrees fahrenheit",
}  # fmt: skip
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_CURRENCY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
_LARGE = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion", "t": "trillion"}
_LARGE_WORDS = "hundred|thousand|million|billion|trillion"
_FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter",
              "3/4": "three quarters", "½": " and a half", "¼": " and a quarter",
              "¾": " and three quarters", "24/7": "twenty four seven", "9/11": "nine eleven",
              "50/50": "fifty fifty"}  # fmt: skip
_YEAR = r"(?:1[1-9]|20)\d\d"
_PLAIN = r"\d{1,3}(?:,\d{3})+|\d+"

_PATTERN = re.compile(
    rf"""
    (?P<money>[$£€])\s?(?P<amount>(?:{_PLAIN})(?:\.\d+)?)
        (?:\s?(?P<scale>{_LARGE_WORDS}|[kKmMbBtT]|bn))?(?!\w)
  | (?<!\d)(?P<clock>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?!:?\d)
        (?:\s?(?P<half>[aApP])\.?\s?[mM]\b\.?)?
  | (?<![\w.])(?P<hour>1[0-2]|[1-9])\s?(?P<hour_half>[aApP])\.?[mM]\b\.?
  | \b(?P<month>{_MONTH})\s(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?\b(?!:|,\d{{3}})
  | \b(?P<the>the\s)?(?P<first_day>[12]\d|3[01]|[1-9])(?:st|nd|rd|th)?
        \s(?:of\s)?(?P<its_month>{_MONTH})\b
  | (?<![\w.,])(?P<decade>(?:1[1-9]|20)?\d0)['’]?s\b | ['’](?P<short_decade>\d0)s\b
  | (?P<ordinal>{_PLAIN})(?:st|nd|rd|th)\b
  | (?<![\w.,/:-])(?P<from>{_YEAR})\s?[-–—/]\s?(?P<to>{_YEAR}|\d\d)(?![\w,.]*\d|-)
  | (?P<fraction>(?<![\d/])(?:1/2|1/3|2/3|1/4|3/4|24/7|9/11|50/50)(?![\d/])|[½¼¾])
  | (?<![\w.,:/-])(?P<low>{_PLAIN})\s?[-–—]\s?(?P<high>{_PLAIN})(?![\w.:/-]*\d)
  | (?<![\w.,$-])(?P<year>{_YEAR})(?![\d%]|,\d|\.\d)
  | (?P<number>(?:{_PLAIN})(?:\.\d+)*|(?<!\S)\.\d+)
        (?:\s?(?P<percent>%)|\s?(?P<unit>km/h|°\s?[CF]?|[a-zA-Z]{{1,3}})(?!\w))?
    """,
    re.VERBOSE,
)  # fmt: skip
_TOO_LONG = re.compile(r"\d[\d.,]{15,}")
_MIXED = re.compile(
    r"\b(?=\w*\d\w*[A-Za-z]\w*\d)\w{5,}\b|\b(?=\w*[A-Za-z]\w*\d\w*[A-Za-z])\w{5,}\b"
)


def write_spoken_text(
    text: Path, output: Path, ranges: Sequence[tuple[int, int]] = ()
) -> tuple[int, int]:
    """Write the sentences of a text (plain or .xz) in spoken form, one on each line.

    Args:
        ranges: first and last line, counted from 1, of the parts to take; all if empty.

    Returns:
        How many sentences were written, and how many were left out.

    Raises:
        DataError: the text is missing or not readable, has no usable sentence, or the output cannot
            be written.
    """
    written = left_out = 0
    part = output.with_name(output.name + ".part")
    opener = lzma.open if output.suffix == ".xz" else open
    try:
        with opener(part, "wt", encoding="utf-8") as file:
            for number, line in enumerate(read_lines(text), start=1):
                if ranges and not any(first <= number <= last for first, last in ranges):
                    continue
                for sentence in _sentences(line):
                    spoken = spoken_form(sentence)
                    if spoken:
                        file.write(spoken + "\n")
                    written, left_out = written + bool(spoken), left_out + (not spoken)
        if not written:
            raise no_usable_sentence(text)
        part.replace(output)
    except OSError as error:
        raise DataError(f"{output}: cannot be written ({error.strerror})") from None
    finally:
        if part.exists():
            part.unlink()
    return written, left_out


def spoken_sentences(line: str) -> Iterator[str]:
    """The sentences of a line in spoken form, normalised as transcripts are; those whose spoken
    form is unclear are left out."""
    for sentence in _sentences(line):
        if spoken := spoken_form(sentence):
            yield spoken


def spoken_form(text: str) -> str | None:
    """A text as it is read aloud, normalised; None if its spoken form is unclear.

    >>> spoken_form("On May 5, 2024 it cost $1.5 million.")
    'on may fifth twenty twenty four it cost one point five million dollars'
    """
    if _MARKUP.search(text):
        return None
    text = _DOTTED.sub(" dot ", without_abbreviations(text)).replace("&", " and ")
    text = _SHARP.sub(r"\1 sharp", text)
    if any(letter.isdigit() or letter in "½¼¾" for letter in text):
        if _TOO_LONG.search(text) or _MIXED.search(text):
            return None
        text = _PATTERN.sub(_read, _MINUS.sub("minus ", text))
    text = text.replace("%", " percent ").replace("+", " plus ").replace("°", " degrees ")
    if unspellable(text):
        return None
    return normalise(text) or None


def _sentences(line: str) -> list[str]:
    return _SENTENCE_END.split(without_abbreviations(line))


def without_abbreviations(text: str) -> str:
    if "." in text:
        text = _NUMBER_SIGN.sub("number ", text)
        text = _SAINT.sub("Saint", text)
        text = _STREET.sub("Street", text)
        text = _ABBREVIATION.sub(lambda found: _ABBREVIATIONS[found[1].lower()], text)
        text = _INITIALS.sub(lambda found: found[0].replace(".", " "), text)
    elif "#" in text:
        text = _NUMBER_SIGN.sub("number ", text)
    text = _TITLE.sub(lambda found: _ABBREVIATIONS[found[1].lower()], text)
    return _SAINT.sub("Saint", text)


def _read(found: re.Match[str]) -> str:
    part = found.groupdict()
    if part["money"]:
        words = _money(part["money"], part["amount"], part["scale"])
    elif part["clock"]:
        words = _time(int(part["clock"]), int(part["minute"]), part["half"])
    elif part["hour"]:
        words = f"{_cardinal(part['hour'])} {part['hour_half']} m"
    elif part["month"]:
        words = f"{part['month']} {_ordinal(part['day'])}"
    elif part["its_month"]:
        words = f"the {_ordinal(part['first_day'])} of {part['its_month']}"
    elif part["decade"] or part["short_decade"]:
        words = _plural(_year(part["decade"] or part["short_decade"]))
    elif part["ordinal"]:
        words = _ordinal(part["ordinal"])
    elif part["from"]:
        words = f"{_year(part['from'])} to {_year(part['to'])}"
    elif part["fraction"]:
        words = _FRACTIONS[part["fraction"]]
    elif part["low"]:
        rises = int(part["low"].replace(",", "")) < int(part["high"].replace(",", ""))
        words = f"{_number(part['low'])} {'to ' if rises else ''}{_number(part['high'])}"
    elif part["year"]:
        words = _year(part["year"])
    else:
        words = _number_with_unit(part["number"], part["percent"], part["unit"])
    return f" {words} "


def _money(sign: str, amount: str, scale: str | None) -> str:
    unit, small = _CURRENCY[sign]
    if scale:
        return f"{_number(amount)} {_LARGE.get(scale.lower(), scale)} {unit}s"
    whole, _, rest = amount.partition(".")
    units = unit if whole == "1" else unit + "s"
    if len(rest) != 2 or rest == "00":
        return f"{_number(amount if rest.strip('0') else whole)} {units}"
    smalls = small if rest == "01" else "pence" if small == "penny" else small + "s"
    if whole == "0":
        return f"{_cardinal(rest)} {smalls}"
    return f"{_cardinal(whole)} {units} and {_cardinal(rest)} {smalls}"


def _time(hour: int, minute: int, half: str | None) -> str:
    end = f" {half} m" if half else ""
    if not minute:
        return f"{_cardinal(str(hour))}{end or (' o’clock' if 0 < hour < 13 else ' hundred')}"
    oh = "oh " if minute < 10 else ""
    return f"{_cardinal(str(hour))} {oh}{_cardinal(str(minute))}{end}"


def _number_with_unit(number: str, percent: str | None, unit: str | None) -> str:
    words = _number(number)
    if percent:
        return f"{words} percent"
    if not unit:
        return words
    key = unit.replace(" ", "").lower()
    if key in _UNITS and (key != "m" or unit == "m"):
        return f"{words} {_UNITS[key]}"
    if key in _LARGE and unit in ("k", "K", "M", "bn"):
        return f"{words} {_LARGE[key]}"
    return f"{words} {unit}"


def _number(written: str) -> str:
    """A cardinal, a decimal or a version; numbers that are too long digit by digit."""
    whole, *rest = written.replace(",", "").split(".")
    if len(rest) > 1:
        return " point ".join(map(_cardinal, (whole, *rest)))
    if not rest and "," not in written and (len(whole) > 6 or (whole[0] == "0" and whole != "0")):
        return _digits(whole)
    words = _cardinal(whole) if whole else ""
    return words + (f" point {_digits(rest[0])}" if rest else "")


def _digits(digits: str) -> str:
    return " ".join(_cardinal(digit) for digit in digits)


@lru_cache(100_000)
def _cardinal(digits: str) -> str:
    return str(num2words(int(digits.replace(",", ""))))


@lru_cache(10_000)
def _ordinal(digits: str) -> str:
    return str(num2words(int(digits.replace(",", "")), to="ordinal"))


@lru_cache(10_000)
def _year(digits: str) -> str:
    """1905: nineteen oh five; 2024: twenty twenty four; 90: ninety."""
    return str(num2words(int(digits), to="year")) if len(digits) == 4 else _cardinal(digits)


def _plural(words: str) -> str:
    return words[:-1] + "ies" if words.endswith("y") else words + "s"
