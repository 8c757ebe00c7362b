"""Where an utterance without pauses is cut: in the longest gap between words of its last third.

Pure computation: gaps of the decoder in, a step out. The place depends on the sound alone. A gap
that is found later moves it to a later step, never to an earlier one, so words before the best gap
so far belong to the utterance wherever it is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from asr.decoder.types import TIME_TOLERANCE_SECONDS, Gap
from asr.transcript import Alternative
from streaming.endpointing import EndpointRules

FIRST_SHARE = 2 / 3  # of the utterance: it is cut in what comes after
MIN_GAP_STEPS = 2  # without a blank step the second pass may have a word's phone on both sides
# Later steps may move a word that is not committed yet by less than this.
MOVE_SECONDS = 0.5


def cut_step(
    rules: EndpointRules,
    gaps: Iterable[Gap],
    step_seconds: float,
    is_inside_number: Callable[[int], bool] = lambda step: False,
) -> int | None:
    """The step to cut at: the middle of the longest gap, of the last one if several are as long. A
    gap inside a number is taken only where there is no other: it would be written as two.

    Args:
        gaps: between words, in steps since the utterance's first one.
        is_inside_number: whether the words beside a step may be of one number.

    Returns:
        None without a gap in the part of the utterance that may be cut.
    """
    first_step = rules.cut_after_seconds * FIRST_SHARE / step_seconds
    found = [
        (not is_inside_number(middle), gap.end - gap.start, middle)
        for gap in gaps
        if gap.end - gap.start >= MIN_GAP_STEPS
        and (middle := (gap.start + gap.end) // 2) >= first_step
    ]
    return max(found)[2] if found else None


def uncut_seconds(rules: EndpointRules) -> float:
    """Words that start before this time of an utterance are in it wherever it is cut."""
    return max(0.0, rules.cut_after_seconds * FIRST_SHARE - MOVE_SECONDS)


def alternatives_until(
    alternatives: Iterable[Alternative], seconds: float
) -> tuple[Alternative, ...]:
    """The words of each hypothesis that start before a time; hypotheses that differ after it are
    one, with the score of the best."""
    found: dict[tuple[str, ...], Alternative] = {}
    for one in alternatives:
        count = sum(start < seconds - TIME_TOLERANCE_SECONDS for start, _ in one.times)
        shorter = replace(one, words=one.words[:count], times=one.times[:count])
        found.setdefault(shorter.words, shorter)
    return tuple(found.values())
