"""Words that a user brings along: names and terms that no lexicon and no language model has.

A file of them has one word or phrase a line. Behind two spaces or a tab may stand how it sounds, in
CMUdict's phones; behind a colon how many powers of ten likelier than usual it is:

    kubernetes
    rill  R IH L
    hidden markov model
    zaphod  Z EY F AA D  :1.5

Whatever has no phones is pronounced by the lexicon, and by the grapheme-to-phoneme model where that
does not know the word.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from asr.errors import ConfigError
from asr.pronunciation import Lexicon, Pronunciation, pronounce
from asr.text import PHONES, normalise, unspellable

MOST_VARIANTS = 8  # pronunciations of a phrase whose words have several
MOST_BOOST = 2.0  # powers of ten

_COLUMNS = re.compile(r"\t+|\s{2,}")
_BOOST = re.compile(r"\s:(\S*)$")


@dataclass(frozen=True)
class CustomWord:
    """A word or phrase as the decoder takes it."""

    words: tuple[str, ...]  # normalised; several for a phrase
    pronunciations: tuple[tuple[Pronunciation, ...], ...]  # of each variant, each word's phones
    boost: float = 0.0  # powers of ten by which it is likelier than usual

    @property
    def text(self) -> str:
        """As it is written in a transcript."""
        return " ".join(self.words)


def custom_words(
    lines: Iterable[str] | os.PathLike[str], lexicon: Lexicon, pronouncer: Path | None
) -> list[CustomWord]:
    """Custom words with their pronunciations, from a file of them or from lines as in one.

    Args:
        lexicon: says how known words sound.
        pronouncer: the grapheme-to-phoneme model that says how the others sound; without one they
            are errors.

    Raises:
        ConfigError: a file without words, or a line that cannot be honoured: it is named, with the
            file and its number.
    """
    if isinstance(lines, os.PathLike):
        located = read_custom_words(lines)
    else:
        located = [("", line) for line in lines]
    requests = []
    for place, line in located:
        with _told_at(place):
            requests.append((place, *_parse(line)))
    unknown = {
        word: None
        for _, words, phones, _ in requests
        if phones is None
        for word in words
        if not pronounce(word, lexicon)
    }
    made: dict[str, Pronunciation] = {}
    if unknown and pronouncer and pronouncer.exists():
        from asr.grapheme_to_phoneme import GraphemeToPhoneme, pronounce_missing

        made = pronounce_missing(unknown, lexicon, GraphemeToPhoneme(pronouncer))
    known = {word: [phones] for word, phones in made.items()}
    found = []
    for place, words, phones, boost in requests:
        with _told_at(place):
            variants = _variants(words, phones, lexicon | known if known else lexicon)
            found.append(CustomWord(words, variants, boost))
    return found


def read_custom_words(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The lines of a file of custom words, each with its place ("names.txt, line 3: ") before it;
    empty lines and those that begin with # are left out.

    Raises:
        ConfigError: missing, not text, or no word in it.
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
    """The words of a line, as a transcript has them.

    Raises:
        ConfigError: a line that cannot be honoured.
    """
    return " ".join(_parse(line)[0])


@contextmanager
def _told_at(place: str) -> Iterator[None]:
    """Puts the place before the message of an error."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{place}{error}") from None


def _variants(
    words: tuple[str, ...], phones: Pronunciation | None, lexicon: Lexicon
) -> tuple[tuple[Pronunciation, ...], ...]:
    """The ways in which a word or phrase may sound."""
    if phones is not None:
        return ((phones,),)
    of_each = [pronounce(word, lexicon) for word in words]
    if silent := [word for word, sounds in zip(words, of_each) if not sounds]:
        raise ConfigError(
            f"custom word '{silent[0]}': how it sounds is not known; write its phones behind two "
            f"spaces, as in: {silent[0]}  N EY M"
        )
    return tuple(variant for variant, _ in zip(product(*of_each), range(MOST_VARIANTS)))


def _parse(line: str) -> tuple[tuple[str, ...], Pronunciation | None, float]:
    """Words, phones if given, boost."""
    text, boost = line.strip(), 0.0
    if with_boost := _BOOST.search(text):
        text = text[: with_boost.start()]
        try:
            boost = float(with_boost[1])
        except ValueError:
            boost = math.nan
        if not abs(boost) <= MOST_BOOST:
            raise ConfigError(
                f"custom word '{line.strip()}': '{with_boost[1]}' is no boost; expected powers of "
                f"ten between -{MOST_BOOST:g} and {MOST_BOOST:g}"
            )
    written, *columns = _COLUMNS.split(text.strip())
    if wrong := unspellable(written):
        raise ConfigError(
            f"custom word '{written}': {' '.join(wrong)} cannot be spelled; write it as it is "
            "spoken, in the letters a to z"
        )
    words = tuple(normalise(written).split())
    if not words:
        raise ConfigError(f"custom word '{line.strip()}': no letters in it")
    if not columns:
        return words, None, boost
    phones = tuple(phone.rstrip("012") for column in columns for phone in column.split())
    if strange := sorted(set(phones) - set(PHONES)):
        raise ConfigError(
            f"custom word '{written}': unknown phones {' '.join(strange)}; expected CMUdict's: "
            f"{written}  N EY M"
        )
    if len(words) > 1:
        raise ConfigError(
            f"custom phrase '{written}': give phones to its words, each on a line of its own"
        )
    return words, phones, boost
