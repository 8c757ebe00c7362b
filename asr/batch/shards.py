"""Divides a corpus into shards of similar duration, and writes their results to a folder.

    plan.jsonl           the settings, then one line per shard with its files
    shard-00000.jsonl    a finished shard: one line per recording, in the plan's order

A shard's file is written atomically. The division depends on the recordings alone, so the same
corpus gives the same files on every machine.
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
# Target number of shards, within the limits of a shard's duration: a small corpus still occupies
# many machines, and a failed machine loses little of a large one.
SHARDS = 256
MIN_SHARD_SECONDS, MAX_SHARD_SECONDS = 60.0, 3600.0
HEADER_THREADS = 16
_UNKNOWN_SECONDS = 1e7  # headers of unknown length declare more than this


@dataclass(frozen=True)
class Shard:
    """Recordings whose results are written together."""

    number: int
    seconds: float  # estimated duration
    files: list[str]


class ShardFolder:
    """The folder of the results and its plan."""

    def __init__(self, folder: Path, sources: Iterable[str], settings: dict[str, Any]) -> None:
        """Makes a plan, or continues the plan in the folder; new recordings get shards of their
        own. Nothing is written before `start`.

        Args:
            settings: all settings that affect the words, as JSON values.

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
        """Write the plan, which binds the folder to these settings and recordings.

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
        """The unfinished shards, longest first, so that the last ones to finish are short."""
        left = [s for s in self.shards if not (self.folder / _name(s.number)).exists()]
        return sorted(left, key=lambda shard: -shard.seconds)

    def write(self, shard: Shard, lines: list[str]) -> None:
        """Write the results of a shard, one line for each of its files.

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
            planned_settings, shards = first["settings"], [Shard(**line) for line in rest]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}: damaged ({error}); give another --output") from None
        if planned_settings != settings:
            different = sorted(
                key
                for key in {*planned_settings, *settings}
                if planned_settings.get(key) != settings.get(key)
            )
            raise ConfigError(
                f"--output {self.folder}: holds results of another {', '.join(different)} "
                f"(see {PLAN}); give another folder"
            )
        return shards

    def _write(self, name: str, lines: list[str]) -> None:
        part = self.folder / f"{name}.part"
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        part.replace(self.folder / name)


def cut_into_shards(sources: list[str], first_number: int = 0) -> list[Shard]:
    """Shards of consecutive recordings with similar durations."""
    with ThreadPoolExecutor(HEADER_THREADS) as threads:
        durations = list(threads.map(_seconds, sources))
    target_seconds = min(max(sum(durations) / SHARDS, MIN_SHARD_SECONDS), MAX_SHARD_SECONDS)
    shards: list[Shard] = []
    files: list[str] = []
    shard_seconds = 0.0
    for number, (source, seconds) in enumerate(zip(sources, durations), start=1):
        files.append(source)
        shard_seconds += seconds
        if shard_seconds >= target_seconds or number == len(sources):
            shards.append(Shard(first_number + len(shards), round(shard_seconds, 3), files))
            files, shard_seconds = [], 0.0
    return shards


def _seconds(source: str) -> float:
    """Duration from the header; 0 for a file whose error is reported when it is read."""
    try:
        seconds = estimated_seconds(source)
    except AudioError:
        return 0.0
    return seconds if seconds < _UNKNOWN_SECONDS else 0.0


def _name(number: int) -> str:
    return f"shard-{number:05}.jsonl"
