"""What Rill wrote into a folder: `.rill-results.jsonl`, one line for each result.

    {"file": "below/talk.srt", "place": "below/talk", "sha256": "...", "source": "/in/talk.mp3",
     "bytes": 4096, "changed_ns": 1764384000000000000, "settings": "...", "damage": null}

By the checksum a later run knows a file that was edited, by the recording's size and time of change
a recording that is another one, and by the settings words that would be others. A line is written
before its file is, so that an interrupted run leaves no file that is unknown.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LEDGER = ".rill-results.jsonl"


@dataclass(frozen=True)
class Origin:
    """The recording of a result, as it was when it was read."""

    source: str  # absolute path, or - for standard input
    bytes: int = -1
    changed_ns: int = -1

    @classmethod
    def of(cls, source: str) -> Origin:
        """The recording as it is now."""
        try:
            about = os.stat(source)
        except (OSError, ValueError):
            return cls(os.path.abspath(source))
        return cls(os.path.abspath(source), about.st_size, about.st_mtime_ns)

    @property
    def is_known(self) -> bool:
        """Whether there is a file by this name."""
        return self.bytes >= 0

    def is_same_recording(self, other: Origin) -> bool:
        """The same path; or a file that was moved, with its name, size and time of change."""
        if self.source == other.source:
            return True
        same_name = os.path.basename(self.source) == os.path.basename(other.source)
        same_file = (self.bytes, self.changed_ns) == (other.bytes, other.changed_ns)
        return same_name and same_file and self.is_known and not os.path.exists(other.source)


@dataclass(frozen=True)
class Result:
    """A file that Rill wrote."""

    file: str  # below the ledger's folder
    place: str  # the same without the ending of the format
    sha256: str
    source: str
    bytes: int
    changed_ns: int
    settings: str  # a checksum of all that shapes the file
    damage: str | None = None  # why the transcript ends early, if it does

    @property
    def origin(self) -> Origin:
        """Its recording."""
        return Origin(self.source, self.bytes, self.changed_ns)


class Ledger:
    """The results in one folder. A damaged line is passed over: its file counts as unknown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results: dict[str, list[Result]] = {}
        for result in _read(folder / LEDGER):
            self._results.setdefault(result.file, []).append(result)

    def results(self, file: Path) -> list[Result]:
        """All that was written to a file, the latest last."""
        return self._results.get(self._name(file), [])

    def latest(self) -> Iterator[Result]:
        """The latest result of each file."""
        return (results[-1] for results in self._results.values())

    def add(self, file: Path, text: str, origin: Origin, place: Path, **about: Any) -> None:
        """Note a file that is about to be written. Raises OSError."""
        result = Result(
            self._name(file),
            self._name(place),
            checksum(text.encode()),
            origin.source,
            origin.bytes,
            origin.changed_ns,
            **about,
        )
        line = json.dumps(asdict(result)) + "\n"
        with open(self.folder / LEDGER, "a", encoding="utf-8") as ledger:
            ledger.write(line)
        self._results.setdefault(result.file, []).append(result)

    def _name(self, file: Path) -> str:
        return os.path.relpath(file, self.folder)


def checksum(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> Iterator[Result]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            result = Result(**json.loads(line))
        except (ValueError, TypeError):
            continue
        texts = (result.file, result.place, result.sha256, result.source, result.settings)
        if all(isinstance(text, str) for text in texts) and isinstance(result.bytes, int):
            yield result
