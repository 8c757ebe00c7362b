"""The rules of captions, checked on files as other programs read them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import srt
import webvtt

from asr.formats import CueRules
from asr.formats.rules import DEFAULT_RULES


class Caption(NamedTuple):
    """A cue as a player has it; milliseconds."""

    start: int
    end: int
    text: str


def read_srt(text: str) -> list[Caption]:
    """By the srt package, which raises for what is no SubRip."""
    found = list(srt.parse(text, ignore_errors=False))
    assert [cue.index for cue in found] == list(range(1, len(found) + 1))
    return [
        Caption(
            round(cue.start.total_seconds() * 1000), round(cue.end.total_seconds() * 1000),
            cue.content,
        )
        for cue in found
    ]  # fmt: skip


def read_vtt(text: str) -> list[Caption]:
    """By the webvtt-py package, which raises for what is no WebVTT; tags are taken off."""
    return [
        Caption(_milliseconds(cue.start), _milliseconds(cue.end), cue.text)
        for cue in webvtt.from_string(text)
    ]


def _milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3_600_000 + int(minutes) * 60_000 + round(float(seconds) * 1000)


def broken_rules(
    captions: list[Caption], rules: CueRules = DEFAULT_RULES, reading: bool = True
) -> list[str]:
    """A line for each rule that a cue breaks.

    Args:
        reading: whether reading speed is a rule: speech may be faster than that.
    """
    broken: list[str] = []
    for cue in captions:
        seconds = (cue.end - cue.start) / 1000
        lines = cue.text.split("\n")
        if len(lines) > rules.lines:
            broken.append(f"{len(lines)} lines: {cue}")
        broken += [f"a long line: {cue}" for line in lines if len(line) > rules.line_letters]
        broken += [f"an empty line: {cue}" for line in lines if line != line.strip() or not line]
        if not rules.min_ms <= cue.end - cue.start <= rules.max_ms:
            broken.append(f"{seconds} s: {cue}")
        if reading and len(cue.text) > rules.letters_per_second * seconds + 1e-6:
            broken.append(f"{len(cue.text) / seconds:.1f} letters a second: {cue}")
    for before, after in pairwise(captions):
        gap = after.start - before.end
        if gap < 0 or 0 < gap < rules.min_gap_ms:
            broken.append(f"a gap of {gap} ms: {before} {after}")
    return broken
