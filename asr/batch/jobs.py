"""Many recordings: `rill transcribe`.

Files, folders and lists are walked. Each transcript is written as soon as it and all before it are
done. A recording that cannot be read does not stop the others. The work is done in this process, in
several (asr/batch/processes.py) or on many machines (asr/batch/ray_cluster.py).
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import IO, Literal

from asr.audio import SAMPLE_RATE, SOUND_SUFFIXES, Samples, read_blocks
from asr.batch.manifest import is_manifest, read_manifest
from asr.errors import AudioError, ConfigError, RecognitionError, RillError
from asr.file_names import in_one_line
from asr.transcript import Transcript, to_json, to_srt, to_text, to_vtt

Format = Literal["text", "json", "srt", "vtt"]
STDIN = "-"
EXTENSIONS = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}

# The blocks of each recording, float32 [samples] at 16 kHz, to its transcript or its error, in the
# order of the recordings.
Read = Callable[[Iterable[Iterable[Samples]]], Iterator[Transcript | RillError]]
BLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """The result of one recording."""

    source: str
    transcript: Transcript | None  # of a damaged recording: all before the damage
    failure: str | None  # one line: what and why


@dataclass
class Summary:
    """The totals of a batch."""

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
        return [line, *(f"failed: {in_one_line(failure)}" for failure in self.failures)]


def transcribe_all(
    sources: Sequence[str],
    read: Read,
    progress: Callable[[str, float], None] = lambda source, seconds: None,
    track: int = 1,
) -> Iterator[Outcome]:
    """Transcribe sources; the error of one is in its outcome.

    Args:
        sources: paths of recordings, or "-" for standard input.
        progress: is called with a source and how many more seconds of it were read.
        track: which sound track of each, from 1 on.
    """
    for source, found in zip(sources, read(_blocks(source, progress, track) for source in sources)):
        transcript = found if isinstance(found, Transcript) else None
        failure = transcript.damage if transcript else str(found)
        # Messages about the sound name its source, faults of recognition do not.
        if failure is not None and source not in failure:
            failure = f"{source}: {failure}"
        yield Outcome(source, transcript, failure)


def each_alone(
    read: Callable[[Iterable[Samples]], Transcript], recordings: Iterable[Iterable[Samples]]
) -> Iterator[Transcript | RillError]:
    """A `Read` made of a function for one recording: one after another."""
    for blocks in recordings:
        try:
            found: Transcript | RillError = read(blocks)
        except Exception as error:  # the recordings after it are read all the same
            found = error if isinstance(error, RillError) else RecognitionError.of(error)
        yield found


def write_all(outcomes: Iterable[Outcome], write: Callable[[str, Transcript], None]) -> Summary:
    """Write the transcripts as they come; of a damaged recording what is there.

    Args:
        write: takes a source and its transcript; a ConfigError that it raises is a failure of this
            recording.
    """
    summary, start = Summary(), time.perf_counter()
    for outcome in outcomes:
        if outcome.transcript:
            try:
                write(outcome.source, outcome.transcript)
            except ConfigError as error:
                failure = f"{outcome.failure}; {error}" if outcome.failure else str(error)
                outcome = replace(outcome, failure=failure)
        summary.add(outcome)
    summary.work_seconds = time.perf_counter() - start
    return summary


def _blocks(
    source: str, progress: Callable[[str, float], None], track: int = 1
) -> Iterator[Samples]:
    progress(source, 0.0)
    if os.path.isdir(source):
        raise AudioError(f"{source}: no recording below this folder")
    with _opened(source) as sound:
        for block in read_blocks(sound, BLOCK_SECONDS, track=track):
            yield block
            progress(source, len(block) / SAMPLE_RATE)


def find_recordings(
    paths: list[str], left_out: Callable[[str], None] = lambda line: None
) -> list[str]:
    """Files as they are given, the recordings below folders, in order of their names, and those
    that lists name (asr/batch/manifest.py).

    A transcript that lies beside its recording (talk.txt beside talk.wav) is neither a list nor a
    recording and is left out, as are the files that a Mac puts beside others (._talk.wav).

    Args:
        left_out: is called with a line for each transcript that is left out.

    Raises:
        ConfigError: an empty name, standard input given twice, a list that cannot be read, or
            nothing but a transcript.
    """
    found: list[str] = []
    transcripts: list[str] = []
    if "" in paths:
        raise ConfigError("the name of a recording is empty; is a variable of the shell not set?")
    for path in paths:
        if recording := transcribed_recording(path):
            transcripts.append(f"{path}: left out, the transcript of {recording}")
            continue
        if is_manifest(path):
            found += read_manifest(path)
            continue
        if path == STDIN or not os.path.isdir(path):
            found.append(path)  # a missing file is reported at its turn
            continue
        # What is no file, such as a broken link, is reported at its turn.
        inside = sorted(
            str(p)
            for p in Path(path).rglob("*")
            if p.suffix.lower() in SOUND_SUFFIXES and not p.name.startswith("._") and not p.is_dir()
        )
        found += inside or [path]  # an empty folder too
    if transcripts and not found:
        raise ConfigError(f"{transcripts[0]}; give the recording, or rename a list")
    for line in transcripts:
        left_out(in_one_line(line))
    if found.count(STDIN) > 1:
        raise ConfigError("standard input (-) can be read once")
    return found


def transcribed_recording(path: str) -> str | None:
    """The recording that a file is the transcript of, by their names: talk.txt (.json, .srt,
    .vtt) or talk.wav.txt beside talk.wav."""
    stem, suffix = os.path.splitext(path)
    if suffix.lower() not in EXTENSIONS.values() or not os.path.isfile(path):
        return None
    if os.path.splitext(stem)[1].lower() in SOUND_SUFFIXES and os.path.isfile(stem):
        return stem
    endings = (e for suffix in sorted(SOUND_SUFFIXES) for e in (suffix, suffix.upper()))
    return next((stem + ending for ending in endings if os.path.isfile(stem + ending)), None)


def render(transcript: Transcript, output_format: Format, source: str) -> str:
    """The transcript in one of the formats."""
    if output_format == "json":
        return to_json(transcript, source)
    return {"text": to_text, "srt": to_srt, "vtt": to_vtt}[output_format](transcript)


class FolderWriter:
    """Writes one file a recording into a folder: talk.flac to talk.txt (or .json, .srt, .vtt).

    Recordings whose names differ in their ending alone keep it: talk.mp3.txt and talk.wav.txt. Of
    recordings with the same name from several folders the second becomes talk.mp3-2.txt.
    """

    def __init__(
        self, folder: Path, output_format: Format, paths: list[str], sources: Sequence[str]
    ) -> None:
        """Raises ConfigError when the folder cannot be made.

        Args:
            paths: as they were given; recordings below a folder of them keep their place below it.
            sources: all recordings that will be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--output {folder}: {error.strerror}") from None
        self._folder, self._format = folder, output_format
        self._places = _places(sources, paths, EXTENSIONS[output_format])

    def __call__(self, source: str, transcript: Transcript) -> None:
        target = self._folder / self._places[source]
        # Whoever finds a transcript finds all of it: a full disk leaves none.
        part = target.with_name(f".rill-{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            text = render(transcript, self._format, source)
            replaceable = target.is_file() and os.access(target, os.W_OK)
            if target.exists() and not replaceable:  # a pipe, or what may not be written
                target.write_text(text, encoding="utf-8")
                return
            try:
                part.write_text(text, encoding="utf-8")
                part.replace(target.resolve())
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{target}: could not be written ({error.strerror})") from None


def _places(sources: Sequence[str], paths: list[str], extension: str) -> dict[str, Path]:
    """Where the transcript of each recording belongs, below the output folder."""
    roots = [Path(path) for path in paths if path != STDIN and os.path.isdir(path)]
    recordings = {source: _below(source, roots) for source in sources}
    counts = Counter(place.with_suffix(extension) for place in recordings.values())
    places: dict[str, Path] = {}
    taken: set[Path] = set()
    for source, recording in recordings.items():
        place = recording.with_suffix(extension)
        whole = recording.name
        if counts[place] > 1 or place in taken:
            place = recording.with_name(whole + extension)
        for number in count(2):
            if place not in taken:
                break
            place = recording.with_name(f"{whole}-{number}{extension}")
        taken.add(place)
        places[source] = place
    return places


def _below(source: str, roots: Sequence[Path]) -> Path:
    path = Path("stdin" if source == STDIN else source)
    below = next((path.relative_to(r) for r in roots if path.is_relative_to(r)), None)
    if below and below.name and ".." not in below.parts:
        return below
    return Path(path.name or "recording")  # a folder such as / has no name of its own


@contextmanager
def _opened(source: str) -> Iterator[str | IO[bytes]]:
    """A path as it is; standard input as a file that can be wound back, which libsndfile needs: on
    disk, for it may be long, or in memory where there is no temporary folder."""
    if source != STDIN:
        yield source
        return
    with _temporary_file() as sound:
        try:
            shutil.copyfileobj(sys.stdin.buffer, sound)
        except OSError as error:
            raise AudioError(
                f"standard input: cannot be kept while it is read: {error.strerror}. Make room, "
                "or name a folder that has some in TMPDIR"
            ) from None
        if not sound.tell():
            raise AudioError("standard input: is empty (0 bytes)")
        sound.seek(0)
        yield sound


def _temporary_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return io.BytesIO()
