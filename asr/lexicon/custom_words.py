"""Custom words: names and terms of a user that the lexicon and the language model lack.

A file of them has one word or phrase a line. Optional parts are the pronunciation in CMUdict's
phones, after two spaces or a tab; the boost in powers of ten, after a colon; and the written form,
before "=", if it differs from the spoken one:

    kubernetes
    rill  R IH L
    hidden markov model
    zaphod  Z EY F AA D  :1.5
    COVID-19 = covid nineteen

Punctuation marks of the spoken form are left out: "Dr. No!" is spoken "dr no". Other signs and
digits are errors, as they are spoken. A word without phones has its pronunciation from the lexicon,
or else from the grapheme-to-phoneme model.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice, product
from pathlib import Path

from asr.errors import ConfigError
from asr.lexicon.lexicon import Lexicon, Pronunciation, pronounce
from asr.text.alphabet import PHONES
from asr.text.normalise import invisible, normalise, unspellable

MAX_VARIANTS = 8  # of a phrase whose words have several pronunciations
MAX_BOOST = 2.0  # powers of ten
# Of one line. The limits bound the time that grapheme-to-phoneme conversion takes.
MAX_CHARACTERS, MAX_WORDS, MAX_LETTERS, MAX_PHONES = 4_000, 100, 60, 120

_COLUMNS = re.compile(r"\t+|\s{2,}")
# Marks that nobody speaks: they are left out of the spoken form. Others, such as & and @, are said.
PUNCTUATION = re.compile(r"""[.,;:!?¡¿…()"'’‘ʼ`´“”„«»‐‑‒–—-]""")
_BOOST = re.compile(r"\s:(\S*)$")
_VOWELS = frozenset(phone for phone in PHONES if phone[0] in "AEIOU")


@dataclass(frozen=True)
class CustomWord:
    """A custom word or phrase, for the decoder."""

    words: tuple[str, ...]  # of the output: normalised, or as written; several for a phrase
    pronunciations: tuple[tuple[Pronunciation, ...], ...]  # for each variant, each word's phones
    boost: float = 0.0  # powers of ten that its probability is multiplied by
    spoken: tuple[str, ...] = ()  # normalised, where `words` are a written form

    @property
    def text(self) -> str:
        """The word or phrase as in a transcript."""
        return " ".join(self.words)


@dataclass(frozen=True)
class _Request:
    """A parsed line."""

    written: tuple[str, ...]  # empty if it is as spoken
    spoken: tuple[str, ...]
    phones: Pronunciation | None
    boost: float


def custom_words(
    lines: Iterable[str] | os.PathLike[str], lexicon: Lexicon, g2p: Path | None
) -> list[CustomWord]:
    """Custom words with their pronunciations, from a file or from lines in its format.

    Args:
        lexicon: the pronunciations of known words.
        g2p: the grapheme-to-phoneme model for other words; without one they are errors.

    Raises:
        ConfigError: one text instead of lines, a file without words, or an invalid line. The
            message has the line, its file and its number.
    """
    lines = word_lines(lines)
    if isinstance(lines, os.PathLike):
        located = read_custom_words(lines)
    else:
        located = [("", line) for line in lines]
    requests = []
    for place, line in located:
        with _located(place):
            requests.append((place, _parse(line)))
    unknown = {
        word: None
        for _, request in requests
        if request.phones is None
        for word in request.spoken
        if not pronounce(word, lexicon)
    }
    converted: dict[str, Pronunciation] = {}
    if unknown and g2p and g2p.exists():
        from asr.lexicon.g2p import GraphemeToPhoneme, pronounce_missing

        converted = pronounce_missing(unknown, lexicon, GraphemeToPhoneme(g2p))
    known = lexicon
    if converted:
        known = lexicon | {word: [phones] for word, phones in converted.items()}
    found = []
    for place, request in requests:
        with _located(place):
            variants = _variants(request.spoken, request.phones, known)
        words = request.written or request.spoken
        if len(words) != len(request.spoken):  # one written word for several spoken ones
            variants = tuple((tuple(chain(*variant)),) for variant in variants)
        spoken = request.spoken if request.written else ()
        found.append(CustomWord(words, variants, request.boost, spoken))
    return found


def word_lines(lines: Iterable[str] | os.PathLike[str]) -> list[str] | os.PathLike[str]:
    """The lines as a list, or the path of a file of them.

    Raises:
        ConfigError: neither; a text is not a list of its letters.
    """
    if isinstance(lines, os.PathLike):
        return lines
    if isinstance(lines, str | bytes) or not isinstance(lines, Iterable):
        raise ConfigError(
            f"custom words or phrases: {lines!r} is no list of them; give a list, "
            "['kubernetes'], or the path of a file, Path('names.txt')"
        )
    found = list(lines)
    if wrong := [line for line in found if not isinstance(line, str)]:
        raise ConfigError(f"custom words or phrases: {wrong[0]!r} is no text; give a list of texts")
    return found


def read_custom_words(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The lines of a file of custom words: pairs of place ("names.txt, line 3: ") and line. Empty
    lines and those that start with # are left out.

    Raises:
        ConfigError: the file is missing, not text, or has no word.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file; expected one word a line") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    if any("\0" in line for line in lines):
        raise ConfigError(f"{path}: not a text file; expected one word a line")
    located = [
        (f"{path}, line {number}: ", line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not located:
        raise ConfigError(f"{path}: no words in it; expected one word a line")
    return located


def written_words(line: str) -> str:
    """The words of a line, as in a transcript.

    Raises:
        ConfigError: the line is invalid.
    """
    request = _parse(line)
    return " ".join(request.written or request.spoken)


@contextmanager
def _located(place: str) -> Iterator[None]:
    """Prefixes the message of a ConfigError with a place."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{place}{error}") from None


def _variants(
    words: tuple[str, ...], phones: Pronunciation | None, lexicon: Lexicon
) -> tuple[tuple[Pronunciation, ...], ...]:
    """The pronunciations of a word or phrase."""
    if phones is not None:
        return ((phones,),)
    of_each = [pronounce(word, lexicon) for word in words]
    if missing := [word for word, pronunciations in zip(words, of_each) if not pronunciations]:
        raise ConfigError(
            f"custom word '{missing[0]}': its pronunciation is unknown; write its phones after two "
            f"spaces, as in: {missing[0]}  N EY M"
        )
    return tuple(islice(product(*of_each), MAX_VARIANTS))


def _parse(line: str) -> _Request:
    text, boost = line.strip(), 0.0
    if not text:
        raise ConfigError("custom word '': empty; write a word or leave it out")
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"custom word '{text[:20]}...': {len(text)} characters; at most {MAX_CHARACTERS}, in "
            f"words of at most {MAX_LETTERS} letters"
        )
    if hidden := invisible(text):
        raise ConfigError(f"custom word '{text}': contains {hidden}, which is invisible; remove it")
    if with_boost := _BOOST.search(text):
        text = text[: with_boost.start()]
        try:
            boost = float(with_boost[1])
        except ValueError:
            boost = math.nan
        if not abs(boost) <= MAX_BOOST:
            raise ConfigError(
                f"custom word '{line.strip()}': '{with_boost[1]}' is no boost; expected powers of "
                f"ten between -{MAX_BOOST:g} and {MAX_BOOST:g}"
            )
    before, is_written, behind = text.partition("=")
    written = _as_written(line, before, behind) if is_written else ()
    spoken, *columns = _COLUMNS.split((behind if is_written else text).strip())
    if not columns:
        _check_phrase(spoken)
    signs = {
        sign
        for sign in spoken
        if unicodedata.category(sign)[0] in "SP" and not PUNCTUATION.search(sign)
    }
    if wrong := [*unspellable(spoken), *sorted(signs)]:
        raise ConfigError(
            f"custom word '{spoken}': {' '.join(wrong)} cannot be spelled; write the spoken form "
            "after =, in the letters a to z: COVID-19 = covid nineteen"
        )
    words = tuple(normalise(spoken).split())
    if not words:
        raise ConfigError(f"custom word '{line.strip()}': no letters in it")
    if len(words) > MAX_WORDS:
        raise ConfigError(
            f"custom phrase '{text[:20]}...': {len(words)} words; at most {MAX_WORDS} in a phrase"
        )
    if long := [word for word in words if len(word) > MAX_LETTERS]:
        raise ConfigError(
            f"custom word '{long[0][:20]}...': {len(long[0])} letters; at most {MAX_LETTERS} in "
            "a word"
        )
    if not columns:
        return _Request(written, words, None, boost)
    phones = tuple(phone.rstrip("012") for column in columns for phone in column.split())
    if len(phones) > MAX_PHONES:
        raise ConfigError(
            f"custom word '{spoken}': {len(phones)} phones; at most {MAX_PHONES} in a word"
        )
    if strange := sorted(set(phones) - set(PHONES)):
        raise ConfigError(
            f"custom word '{spoken}': unknown phones {' '.join(strange)}; expected CMUdict's: "
            f"{spoken}  N EY M"
        )
    if len(words) > 1:
        raise ConfigError(
            f"custom phrase '{spoken}': give phones to its words, each on a line of its own"
        )
    return _Request(written, words, phones, boost)


def _as_written(line: str, before: str, behind: str) -> tuple[str, ...]:
    """The written words: as many as are spoken, or a single text."""
    written = before.split()
    if not written or not behind.strip() or "=" in behind:
        raise ConfigError(
            f"custom word '{line.strip()}': expected the written form, =, and the spoken form: "
            "COVID-19 = covid nineteen"
        )
    if len(_COLUMNS.split(before.strip())) > 1:
        raise ConfigError(
            f"custom word '{line.strip()}': the phones must follow the spoken form: "
            "k8s = kates  K EY T S"
        )
    spoken = normalise(_COLUMNS.split(behind.strip())[0]).split()
    return tuple(written) if len(written) == len(spoken) else (" ".join(written),)


def _check_phrase(text: str) -> None:
    """Raises ConfigError for a word whose phones follow after one space, as in CMUdict. "vitamin B"
    is a phrase: every word has a vowel."""
    first, *others = text.split()
    phones = [other.rstrip("012") for other in others]
    if not others or not set(phones) <= set(PHONES) or not _VOWELS & set(phones):
        return
    if len(others) > 1 or first != first.upper():
        raise ConfigError(
            f"custom word '{text}': {' '.join(others)} are phones; put two spaces or a tab before "
            f"them: {first}  {' '.join(others)}"
        )
