"""The text of a transcript: its encoding, the tags in it, and what keeps it from being learnt.

A transcript that says something else than the recording teaches wrong words. So bytes are decoded
only where their encoding is known, tags for sounds and punctuation are removed and counted, and a
text with characters that a reader speaks aloud is left out with the reason.
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
_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_KEPT_BYTE = re.compile(r"[\udc80-\udcff]")
# <i>word</i>: the tag goes, the word stays. [laughter], <unk>, {NOISE}: it is no word.
_TAG = re.compile(r"\[[^\[\]]*\]|<[^<>]*>|\{[^{}]*\}")
# Round brackets also hold words that are read aloud: only the sounds that corpora name go.
_SOUNDS = (
    "applause|background noise|beep|breath|breathing|clears throat|cough|coughing|coughs|"
    "crosstalk|hesitation|inaudible|inhales|laugh|laughing|laughs|laughter|lip smack|music|noise|"
    "pause|sigh|sighs|silence|sneeze|sniff|static|unclear|unintelligible"
)
_SOUND_IN_ROUND_BRACKETS = re.compile(rf"\(\s*%?(?:{_SOUNDS})\s*\)", re.IGNORECASE)
# Symbols that stand for words ("and", "at", "per cent"), or for letters that are not shown.
_SPOKEN_SYMBOLS = frozenset("&@%+=#*°§×÷±")


def read_text(path: Path) -> str:
    """A text file as UTF-8, or in the encoding that its byte order mark names. Bytes that are not
    UTF-8 become lone surrogates, which `problem_of` tells.

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
    """The lines of a text file. Not splitlines, which also splits at characters that stand within
    sentences (U+2028)."""
    return [line.rstrip("\r") for line in read_text(path).split("\n")]


def without_tags(text: str) -> tuple[str, Counter[str]]:
    """A text without its tags and without characters that have no width, and how often each tag
    was there.

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
    """Why a text without tags cannot be learnt: the kind of problem, then a colon and details.

    None when it can.
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
