"""When each cue is shown.

A cue starts with its first word and stays until it can be read. Where there is no time for that
before the next cue, the next one starts later, by at most `max_lag_ms`. Where that is not enough,
reading speed yields: cues stay in order, never lie over each other, and keep their shortest time.
"""

from __future__ import annotations

from dataclasses import dataclass

from asr.formats.breaks import Token
from asr.formats.rules import CueRules


@dataclass(frozen=True)
class CueLine:
    """A line of a cue."""

    channel: str  # whose words start here, where channels are separate; empty in further lines
    tokens: tuple[Token, ...]

    @property
    def text(self) -> str:
        """The words, without the channel."""
        return "".join(
            token.text if place == 0 or token.glued else f" {token.text}"
            for place, token in enumerate(self.tokens)
        )


@dataclass(frozen=True)
class UntimedCue:
    """The lines of a cue, and when its words are spoken, in milliseconds."""

    lines: tuple[CueLine, ...]
    start: int
    end: int
    letters: int  # with names of channels; a new line counts as a space


@dataclass(frozen=True)
class TimedCue:
    """A cue and when it is shown, in milliseconds."""

    lines: tuple[CueLine, ...]
    start: int
    end: int


def timed(cues: list[UntimedCue], rules: CueRules) -> list[TimedCue]:
    """The cues with the times at which they are shown.

    Args:
        cues: in order of their starts.
    """
    found: list[TimedCue] = []
    free = 0
    for place, cue in enumerate(cues):
        start = max(cue.start, free)
        following = cues[place + 1].start if place + 1 < len(cues) else None
        spoken_until = cue.end if following is None else min(cue.end, following)
        end = max(spoken_until, start + rules.reading_ms(cue.letters))
        if following is not None:
            latest = max(following + rules.max_lag_ms, start + max(1, rules.min_ms))
            end = min(end, latest)
        end, gap = min(end, start + rules.max_ms), 0
        if following is not None and 0 < following - end < rules.min_gap_ms:
            if following - start <= rules.max_ms:
                end = following
            elif following - rules.min_gap_ms - start >= rules.min_ms:
                end = following - rules.min_gap_ms
            else:  # neither longer nor shorter: the next cue starts later
                gap = rules.min_gap_ms
        end = max(end, start + 1)
        found.append(TimedCue(cue.lines, start, end))
        free = end + gap
    return found
