"""A corpus in shards of about as much sound each, and the folder that their results are written to.

    plan.jsonl           what the results are of: the settings, then a line a shard with its files
    shard-00000.jsonl    a finished shard, a recording a line, in the plan's order

A shard is there whole or not at all. The cuts depend on the recordings alone, not on who reads
them, so the same corpus gives the same files wherever it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr.audio import estimated_seconds
from asr.errors import AudioError, ConfigError

PLAN = "plan.jsonl"
# A corpus is cut into this many shards, as long as these are neither shorter nor longer than that:
# a small one still keeps many machines busy, of a large one little is lost with a machine.
SHARDS = 256
SHORTEST_SHARD_SECONDS, LONGEST_SHARD_SECONDS = 60.0, 3600.0
HEADERS_AT_ONCE = 16
_NO_LENGTH_SECONDS = 1e7  # what a header says that knows none


@dataclass(frozen=True)
class Shard:
    """Recordings that are read and written together."""

    number: int
    seconds: float  # of sound, as far as headers tell
    files: list[str]


class ShardFolder:
    """The folder of the results, with the plan that it was begun with."""

    def __init__(self, folder: Path, sources: Iterable[str], settings: dict[str, Any]) -> None:
        """A new plan, or the one that is there to go on with; recordings that are new to it get
        shards of their own. Nothing is written before `begin`.

        Args:
            settings: all that shapes the words, as JSON has it.

        Raises:
            ConfigError: the folder cannot be used, or holds results of other settings or of
                recordings that are not among the sources.
        """
        self.folder, self._settings = folder, settings
        wanted = dict.fromkeys(sources)
        try:
            self.shards = self._planned(settings)
        except OSError as error:
            raise ConfigError(f"--output {folder}: {error.strerror}") from None
        if self.shards and not all(file in wanted for s in self.shards for file in s.files):
            raise ConfigError(
                f"--output {folder}: holds results of other recordings (see {PLAN}); "
                "give another folder"
            )
        planned = {file for shard in self.shards for file in shard.files}
        new = [source for source in wanted if source not in planned]
        self.shards += cut_into_shards(new, first_number=len(self.shards)) if new else []
        self._is_written = not new

    def start(self) -> None:
        """Write the plan: from now on the folder is that of these settings and recordings.

        Raises:
            ConfigError: the folder cannot be used.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._is_written:
                lines = [{"settings": self._settings}, *(asdict(shard) for shard in self.shards)]
                self._write(PLAN, [json.dumps(line) for line in lines])
        except OSError as error:
            raise ConfigError(f"--output {self.folder}: {error.strerror}") from None
        self._is_written = True

    def waiting(self) -> list[Shard]:
        """The shards that are not done, the longest first: so that at the end none is left alone
        with one."""
        left = [s for s in self.shards if not (self.folder / _name(s.number)).exists()]
        return sorted(left, key=lambda shard: -shard.seconds)

    def write(self, shard: Shard, lines: list[str]) -> None:
        """The results of a shard, a line for each of its files.

        Raises:
            ConfigError: they cannot be written.
        """
        try:
            self._write(_name(shard.number), lines)
        except OSError as error:
            raise ConfigError(f"--output {self.folder}: {error.strerror}") from None

    def _planned(self, settings: dict[str, Any]) -> list[Shard]:
        path = self.folder / PLAN
        if not path.exists():
            return []
        try:
            first, *rest = (json.loads(line) for line in path.read_text().splitlines())
            before, shards = first["settings"], [Shard(**line) for line in rest]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}: damaged ({error}); give another --output") from None
        if before != settings:
            others = sorted(k for k in {*before, *settings} if before.get(k) != settings.get(k))
            raise ConfigError(
                f"--output {self.folder}: holds results of another {', '.join(others)} "
                f"(see {PLAN}); give another folder"
            )
        return shards

    def _write(self, name: str, lines: list[str]) -> None:
        part = self.folder / f"{name}.part"
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        part.replace(self.folder / name)


def cut_into_shards(sources: list[str], first_number: int = 0) -> list[Shard]:
    """Recordings one after another in shards of about as much sound each."""
    with ThreadPoolExecutor(HEADERS_AT_ONCE) as threads:
        seconds = list(threads.map(_seconds, sources))
    full = sum(seconds) / SHARDS
    full = min(max(full, SHORTEST_SHARD_SECONDS), LONGEST_SHARD_SECONDS)
    shards: list[Shard] = []
    files: list[str] = []
    in_shard = 0.0
    for number, (source, its_seconds) in enumerate(zip(sources, seconds), start=1):
        files.append(source)
        in_shard += its_seconds
        if in_shard >= full or number == len(sources):
            shards.append(Shard(first_number + len(shards), round(in_shard, 3), files))
            files, in_shard = [], 0.0
    return shards


def _seconds(source: str) -> float:
    """As the header tells; none of what is told to be no sound when its turn comes."""
    try:
        seconds = estimated_seconds(source)
    except AudioError:
        return 0.0
    return seconds if seconds < _NO_LENGTH_SECONDS else 0.0


def _name(number: int) -> str:
    return f"shard-{number:05}.jsonl"
