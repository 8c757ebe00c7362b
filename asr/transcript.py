"""Words with times, segments and transcripts. asr/formats writes them to files."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asr.errors import RillError


@dataclass(frozen=True)
class Word:
    """One word; times are seconds from the recording's first sample."""

    word: str
    start: float
    end: float
    confidence: float  # 0 to 1: how likely it is right; see docs/explanation/beam-search.md


@dataclass(frozen=True)
class Alternative:
    """One hypothesis of the n-best list of an utterance."""

    words: tuple[str, ...]
    score: float  # natural logarithm, acoustic and language model together; compare differences
    # Start and end of each word, in seconds as of a `Word`; empty where they are unknown.
    times: tuple[tuple[float, float], ...] = ()

    @property
    def text(self) -> str:
        """The words, divided by spaces."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Segment:
    """An utterance between two endpoints."""

    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...] = ()  # the best first; empty unless requested
    # The words as people write them (asr/text/written.py): "25" for "twenty five". Empty unless
    # requested.
    written: tuple[Word, ...] = ()
    channel: str = ""  # the name of the channel that it comes from, where channels are separate

    @property
    def text(self) -> str:
        """The words, divided by spaces."""
        return " ".join(word.word for word in self.words)

    @property
    def shown(self) -> tuple[Word, ...]:
        """The written tokens where there are any, else the words."""
        return self.written or self.words


@dataclass(frozen=True)
class Transcript:
    """The words of one recording."""

    segments: tuple[Segment, ...]
    duration: float  # seconds of sound
    # Why the recording ends here, where it is damaged or could not be recognised to its end: one
    # line. All that was recognised before is in the segments.
    damage: str | None = None

    @property
    def text(self) -> str:
        """All words, divided by spaces."""
        return " ".join(segment.text for segment in self.segments if segment.words)

    @property
    def formatted(self) -> str:
        """The text as people write it, if the segments have written tokens."""
        return " ".join(word.word for segment in self.segments for word in segment.shown)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)


def transcript_of(
    segments: Iterable[Segment], duration: float, damage: Sequence[RillError]
) -> Transcript:
    """The transcript of the segments with words.

    Args:
        duration: seconds of sound that were read.
        damage: what ended the recording early, if anything did.

    Raises:
        RillError: the damage, where no sound was read before it.
    """
    if damage and not duration:
        raise damage[0]
    with_words = tuple(segment for segment in segments if segment.words)
    return Transcript(with_words, duration, str(damage[0]) if damage else None)


def shift_alternatives(
    alternatives: Iterable[Alternative], seconds: float, latest: float = math.inf
) -> tuple[Alternative, ...]:
    """Alternatives moved in time; none of their words ends after `latest`."""
    return tuple(
        replace(
            one,
            times=tuple(
                (min(start + seconds, latest), min(end + seconds, latest))
                for start, end in one.times
            ),
        )
        for one in alternatives
    )


def shift_words(
    words: Iterable[Word], seconds: float, latest: float = math.inf
) -> tuple[Word, ...]:
    """Words moved in time; none ends after `latest`."""
    return tuple(
        Word(
            word.word,
            min(word.start + seconds, latest),
            min(word.end + seconds, latest),
            word.confidence,
        )
        for word in words
    )


# Functions that live in asr/formats; their old place works until the next release.
_MOVED = {
    "to_text": "asr.formats.plain_text",
    "to_json": "asr.formats.json_lines",
    "word_record": "asr.formats.json_lines",
    "alternative_records": "asr.formats.json_lines",
    "to_srt": "asr.formats.subtitles",
    "to_vtt": "asr.formats.subtitles",
}


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module 'asr.transcript' has no attribute '{name}'")
    place = _MOVED[name]
    warnings.warn(f"{name} is in {place}", DeprecationWarning, stacklevel=2)
    return getattr(importlib.import_module(place), name)
