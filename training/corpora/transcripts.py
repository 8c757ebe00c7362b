"""Transcripts: their encoding, the tags in them, and why some cannot be trained on.

A transcript that differs from the recording trains wrong words. So bytes are decoded only if their
encoding is known, tags for sounds are removed and counted, and a text with symbols that are read
aloud is left out with the reason.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from pathlib import Path

from asr.errors import DataError
from asr.text.normalise import normalise, unspellable

# Bytes that are not UTF-8 are kept as lone surrogates (PEP 383), so that one bad line of a list
# costs that line alone.
_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_KEPT_BYTE = re.compile(r"[\udc80-\udcff]")
# <i>word</i>: the tag goes, the word stays. [laughter], <unk>, {NOISE}: it is no word.
_TAG = re.compile(r"\[[^\[\]]*\]|<[^<>]*>|\{[^{}]*\}")
# Round brackets also hold words that are read aloud: only known names of sounds are removed.
_SOUNDS = (
    "applause|background noise|beep|breath|breathing|clears throat|cough|coughing|coughs|"
    "crosstalk|hesitation|inaudible|inhales|laugh|laughing|laughs|laughter|lip smack|music|noise|"
    "pause|sigh|sighs|silence|sneeze|sniff|static|unclear|unintelligible"
)
_SOUND_IN_ROUND_BRACKETS = re.compile(rf"\(\s*%?(?:{_SOUNDS})\s*\)", re.IGNORECASE)
# Symbols that stand for words ("and", "at", "per cent") or for masked letters.
_SPOKEN_SYMBOLS = frozenset("&@%+=#*°§×÷±")


def read_text(path: Path) -> str:
    """A text file as UTF-8, or in the encoding that its byte order mark names. Bytes that are not
    UTF-8 become lone surrogates, which `problem_of` detects.

    Raises:
        DataError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
            return data.decode(encoding, errors)
    return data.decode("utf-8", "surrogateescape")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, split at newlines only (`splitlines` also splits at U+2028, which
    occurs within sentences)."""
    return [line.rstrip("\r") for line in read_text(path).split("\n")]


def without_tags(text: str) -> tuple[str, Counter[str]]:
    """A text without tags and zero-width characters, and the count of each tag.

    >>> without_tags("[laughter] so <unk> yeah")[0].split()
    ['so', 'yeah']
    """
    found: Counter[str] = Counter()

    def remove(tag: re.Match[str]) -> str:
        found[tag.group()] += 1
        return " "

    text = _SOUND_IN_ROUND_BRACKETS.sub(remove, _TAG.sub(remove, text))
    return "".join(c for c in text if unicodedata.category(c) != "Cf"), found


def problem_of(text: str) -> str | None:
    """Why a text without tags cannot be trained on: the kind of problem, a colon and details.

    None if it can.
    """
    if _KEPT_BYTE.search(text) or "\0" in text:
        return "not UTF-8 text: save the transcripts as UTF-8, or as UTF-16 with a byte order mark"
    if "\ufffd" in text or _was_decoded_wrongly(text):
        return "wrongly decoded text: it was read in another encoding before it was saved"
    if lost := [*unspellable(text), *sorted(filter(_is_spoken_symbol, set(text)))]:
        return f"characters outside the alphabet: {' '.join(lost)}"
    if not text.strip():
        return "empty text"
    if not normalise(text):
        return "no words in the text"
    return None


def _is_spoken_symbol(character: str) -> bool:
    return character in _SPOKEN_SYMBOLS or unicodedata.category(character) == "Sc"


def _was_decoded_wrongly(text: str) -> bool:
    """UTF-8 that was read as Windows-1252: "cafÃ©"."""
    if text.isascii():
        return False
    try:
        return text.encode("cp1252").decode() != text
    except UnicodeError:
        return False
