"""The config of Vosk's protocol, as a client's messages change it.

A setting that is left out keeps its value. Numbers may be texts, as Vosk's server reads them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from asr.options import MAX_ALTERNATIVES
from asr.text.normalise import normalise
from streaming.server.limits import Refused

DEFAULT_RATE = 8000.0  # as of vosk-server
VOSK_UNKNOWN = "[unk]"
SWITCHES = ("words", "partial_words")


@dataclass(frozen=True)
class VoskConfig:
    """The settings of a connection."""

    sample_rate: float = DEFAULT_RATE
    words: bool = True  # results have their words with times
    partial_words: bool = False  # partials too
    max_alternatives: int = 0  # n-best hypotheses in place of one text
    phrase_list: tuple[str, ...] = ()  # nothing but these phrases and their words is recognised
    reports_unknown: bool = False  # speech that fits none of them is [unk], else left out

    @property
    def grammar(self) -> tuple[str, ...]:
        """The phrases, and each of their words: Vosk allows these in any order."""
        words = (word for phrase in self.phrase_list for word in normalise(phrase).split())
        return tuple(dict.fromkeys((*self.phrase_list, *words)))

    def has_same_recognizer(self, other: VoskConfig) -> bool:
        """Whether both need the same recogniser."""
        mine, others = ((c.phrase_list, c.max_alternatives) for c in (self, other))
        return mine == others

    def has_same_stream(self, other: VoskConfig) -> bool:
        """Whether a stream of the other config can go on with this one."""
        return self.sample_rate == other.sample_rate and self.has_same_recognizer(other)

    def updated(self, asked: object) -> VoskConfig:
        """The config after a message.

        Raises:
            Refused: an unknown or invalid setting.
        """
        if not isinstance(asked, dict):
            raise _invalid("config", "expected an object")
        changed = self
        for name, value in asked.items():
            changed = changed._with(str(name), value)
        return changed

    def _with(self, name: str, value: Any) -> VoskConfig:
        if name == "phrase_list":
            phrases = _phrases(value)
            known = tuple(phrase for phrase in phrases if phrase != VOSK_UNKNOWN)
            if phrases and not known:
                raise _invalid(name, f"no phrase besides {VOSK_UNKNOWN}")
            return replace(self, phrase_list=known, reports_unknown=VOSK_UNKNOWN in phrases)
        if name not in ("sample_rate", "max_alternatives", *SWITCHES):
            if value in (None, 0, False, [], ""):
                return self
            raise Refused("bad_message", f"config: {name[:100]} is not supported")
        if value is None:
            return self
        number = _number(value, name)
        if name == "sample_rate":
            return replace(self, sample_rate=number)
        if name == "words":
            return replace(self, words=bool(number))
        if name == "partial_words":
            return replace(self, partial_words=bool(number))
        if not number.is_integer() or not 0 <= number <= MAX_ALTERNATIVES:
            raise _invalid(name, f"expected a whole number, 0 to {MAX_ALTERNATIVES}")
        return replace(self, max_alternatives=int(number))


def _invalid(name: str, reason: str) -> Refused:
    return Refused("bad_message", f"{name}: {reason}")


def _number(value: object, name: str) -> float:
    """A finite number; true and false are 1 and 0."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        expected = "true or false" if name in SWITCHES else "a number"
        raise _invalid(name, f"expected {expected}")
    return number


def _phrases(value: object) -> tuple[str, ...]:
    """Different phrases, with single spaces."""
    found = [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(phrase, str) for phrase in found):
        raise _invalid("phrase_list", "expected a list of texts")
    return tuple(dict.fromkeys(" ".join(phrase.split()) for phrase in found))
