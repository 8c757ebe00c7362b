"""Where the results of each recording belong: below an output folder, or beside the recording."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from asr.batch.finding import STDIN
from asr.errors import ConfigError


def places(
    sources: Sequence[str],
    paths: Sequence[str],
    folder: Path | None,
    before: Mapping[str, Path] = {},
    taken: frozenset[Path] = frozenset(),
) -> dict[str, Path]:
    """The path of each recording's results, without the ending of their format.

    talk.flac gives talk. Recordings whose names differ in their ending alone keep it: talk.mp3 and
    talk.wav. Of recordings with the same name from several folders the second becomes talk.mp3-2.

    Args:
        paths: as they were given; recordings below a folder of them keep their place below it.
        folder: of the results; each is beside its recording if None.
        before: where the results of recordings were written by an earlier run; they stay there.
        taken: the places of results of other recordings.

    Raises:
        ConfigError: standard input, which has no place beside it.
    """
    if folder is None and STDIN in sources:
        raise ConfigError("--output-beside: standard input (-) lies in no folder; give --output")
    roots = [Path(path) for path in paths if path != STDIN and os.path.isdir(path)]
    recordings = {
        source: Path(source) if folder is None else folder / _below(source, roots)
        for source in sources
    }
    counts = Counter(recording.with_suffix("") for recording in recordings.values())
    used = {*taken, *before.values()}
    found: dict[str, Path] = {}
    for source, recording in recordings.items():
        if source in before:
            found[source] = before[source]
            continue
        place = recording.with_suffix("")
        if counts[place] > 1 or place in used:
            place = recording
        for number in count(2):
            if place not in used:
                break
            place = recording.with_name(f"{recording.name}-{number}")
        used.add(place)
        found[source] = place
    return found


def with_ending(place: Path, extension: str) -> Path:
    """The file of a place: talk.v2 and .txt give talk.v2.txt."""
    return place.with_name(place.name + extension)


def _below(source: str, roots: Sequence[Path]) -> Path:
    path = Path("stdin" if source == STDIN else source)
    below = next((path.relative_to(r) for r in roots if path.is_relative_to(r)), None)
    if below and below.name and ".." not in below.parts:
        return below
    return Path(path.name or "recording")  # a folder such as / has no name of its own
