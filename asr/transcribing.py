"""Many recordings: `rill transcribe`.

Files, folders and lists are walked, each recording is written as soon as it and all before it are
done, and one that cannot be read never stops the others. Who reads them may be this process,
several (asr/processes.py) or many machines (asr/cluster.py).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Literal

from asr.audio import SAMPLE_RATE, SOUND_SUFFIXES, Samples, read_blocks
from asr.errors import AudioError, ConfigError, RecognitionError, RillError
from asr.manifest import is_manifest, read_manifest
from asr.transcript import Transcript, to_json, to_srt, to_text, to_vtt

Format = Literal["text", "json", "srt", "vtt"]
STDIN = "-"
EXTENSIONS = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}

# The blocks of each recording, float32 [samples] at 16 kHz, to its transcript or to what is wrong
# with it, in the recordings' order.
Read = Callable[[Iterable[Iterable[Samples]]], Iterator[Transcript | RillError]]
BLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What came of one recording."""

    source: str
    transcript: Transcript | None  # what was recognised before the damage, too
    failure: str | None  # one line: what and why


@dataclass
class Summary:
    """What a batch came to."""

    recordings: int = 0
    sound_seconds: float = 0.0
    work_seconds: float = 0.0  # by the clock, however many worked
    failures: list[str] = field(default_factory=list)  # one line each: what and why

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of sound."""
        return self.work_seconds / self.sound_seconds if self.sound_seconds else 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one more recording."""
        if outcome.failure is not None:
            self.failures.append(outcome.failure)
        elif outcome.transcript is not None:
            self.recordings += 1
            self.sound_seconds += outcome.transcript.duration

    def lines(self) -> list[str]:
        """For people: how much, how fast, and what failed."""
        total = self.recordings + len(self.failures)
        line = (
            f"{self.recordings} of {total} recordings, {self.sound_seconds:.1f} s of sound in "
            f"{self.work_seconds:.2f} s, real-time factor {self.real_time_factor:.3f}"
        )
        if total > 1 and self.work_seconds:
            line += f", {self.sound_seconds / self.work_seconds:.0f} hours an hour"
        return [line, *(f"failed: {failure}" for failure in self.failures)]


def hear_all(
    sources: Sequence[str],
    read: Read,
    heard: Callable[[str, float], None] = lambda source, seconds: None,
) -> Iterator[Outcome]:
    """Read sources; what is wrong with one is told in its outcome.

    Args:
        sources: paths of recordings, or "-" for standard input.
        heard: told a source and how many seconds more of it were read.
    """
    for source, found in zip(sources, read(_blocks(source, heard) for source in sources)):
        if isinstance(found, Transcript):
            yield Outcome(source, found, None)
        else:
            # Others name the source themselves.
            name = f"{source}: " if isinstance(found, RecognitionError) else ""
            yield Outcome(source, found.transcript, f"{name}{found}")


def each_alone(
    read: Callable[[Iterable[Samples]], Transcript], recordings: Iterable[Iterable[Samples]]
) -> Iterator[Transcript | RillError]:
    """A `Read` of what reads one recording: it takes one after another."""
    for blocks in recordings:
        try:
            found: Transcript | RillError = read(blocks)
        except Exception as error:  # the recordings after it are read all the same
            found = error if isinstance(error, RillError) else RecognitionError.of(error)
        yield found


def write_all(outcomes: Iterable[Outcome], write: Callable[[str, Transcript], None]) -> Summary:
    """Write the transcripts as they come; of a damaged recording what was recognised of it.

    Args:
        write: takes a source and its transcript; a ConfigError that it raises is a failure of this
            recording.
    """
    summary, begin = Summary(), time.perf_counter()
    for outcome in outcomes:
        if outcome.transcript:
            try:
                write(outcome.source, outcome.transcript)
            except ConfigError as error:
                failure = f"{outcome.failure}; {error}" if outcome.failure else str(error)
                outcome = replace(outcome, failure=failure)
        summary.add(outcome)
    summary.work_seconds = time.perf_counter() - begin
    return summary


def _blocks(source: str, heard: Callable[[str, float], None]) -> Iterator[Samples]:
    heard(source, 0.0)
    if os.path.isdir(source):
        raise AudioError(f"{source}: no recording below this folder")
    with _opened(source) as sound:
        for block in read_blocks(sound, BLOCK_SECONDS):
            yield block
            heard(source, len(block) / SAMPLE_RATE)


def find_recordings(paths: list[str]) -> list[str]:
    """Files as they are given, the recordings below folders, in order of their names, and those
    that lists name (asr/manifest.py).

    Raises:
        ConfigError: standard input given twice, or a list that cannot be read.
    """
    found: list[str] = []
    for path in paths:
        if is_manifest(path):
            found += read_manifest(path)
            continue
        if path == STDIN or not os.path.isdir(path):
            found.append(path)  # a missing file is told when its turn comes
            continue
        inside = sorted(
            str(p)
            for p in Path(path).rglob("*")
            if p.suffix.lower() in SOUND_SUFFIXES and p.is_file()
        )
        found += inside or [path]  # an empty folder too
    if found.count(STDIN) > 1:
        raise ConfigError("standard input (-) can be read once")
    return found


def render(transcript: Transcript, output_format: Format, source: str) -> str:
    """The transcript in one of the formats."""
    if output_format == "json":
        return to_json(transcript, source)
    return {"text": to_text, "srt": to_srt, "vtt": to_vtt}[output_format](transcript)


class FolderWriter:
    """Writes one file a recording into a folder: talk.flac to talk.txt (or .json, .srt, .vtt)."""

    def __init__(self, folder: Path, output_format: Format, paths: list[str]) -> None:
        """Raises ConfigError when the folder cannot be made.

        Recordings found below a folder of `paths` keep their place below it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--output {folder}: {error.strerror}") from None
        self._folder, self._format = folder, output_format
        self._roots = [Path(path) for path in paths if path != STDIN and os.path.isdir(path)]
        self._taken: set[Path] = set()

    def __call__(self, source: str, transcript: Transcript) -> None:
        target = self._folder / self._place(source)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(render(transcript, self._format, source), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{target}: could not be written ({error.strerror})") from None

    def _place(self, source: str) -> Path:
        path = Path("stdin" if source == STDIN else source)
        below = next((path.relative_to(r) for r in self._roots if path.is_relative_to(r)), None)
        relative = below if below and ".." not in below.parts else Path(path.name)
        place = relative.with_suffix(EXTENSIONS[self._format])
        if place in self._taken:  # talk.wav and talk.mp3: neither may overwrite the other
            place = relative.with_name(relative.name + EXTENSIONS[self._format])
        for number in _numbers_from_2():
            if place not in self._taken:
                break
            place = place.with_name(f"{relative.stem}-{number}{EXTENSIONS[self._format]}")
        self._taken.add(place)
        return place


def _numbers_from_2() -> Iterator[int]:
    number = 2
    while True:
        yield number
        number += 1


@contextmanager
def _opened(source: str) -> Iterator[str | IO[bytes]]:
    """A path as it is; standard input as a file that can be wound back, which libsndfile needs (on
    disk, for it may be long)."""
    if source != STDIN:
        yield source
        return
    with tempfile.TemporaryFile() as sound:
        shutil.copyfileobj(sys.stdin.buffer, sound)
        if not sound.tell():
            raise AudioError("standard input: is empty (0 bytes)")
        sound.seek(0)
        yield sound
