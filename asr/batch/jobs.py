"""Many recordings: `rill transcribe`.

Each transcript is written as soon as it and all before it are done. A recording that cannot be read
does not stop the others. The work is done in this process, in several (asr/batch/processes.py) or
on many machines (asr/batch/ray_cluster.py).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from asr.audio import Samples
from asr.batch.channels import MIXED, Channels, Recording, merged
from asr.errors import ConfigError, RecognitionError, RillError
from asr.file_names import in_one_line, some_in_one_line
from asr.transcript import Transcript

# The blocks of each recording, float32 [samples] at 16 kHz, to its transcript or its error, in the
# order of the recordings.
Read = Callable[[Iterable[Iterable[Samples]]], Iterator[Transcript | RillError]]
NAMES_SHOWN = 50  # of recordings with which nothing is to be done


@dataclass(frozen=True)
class Outcome:
    """The result of one recording."""

    source: str
    transcript: Transcript | None  # of a damaged recording: all before the damage
    failure: str | None  # one line: what and why


@dataclass
class Summary:
    """The totals of a batch."""

    recordings: int = 0  # transcribed, and without a failure
    sound_seconds: float = 0.0
    work_seconds: float = 0.0  # by the clock, however many worked
    in_part: int = 0  # of the failures, those that have text
    failures: list[str] = field(default_factory=list)  # one line each: what and why
    done_before: list[str] = field(default_factory=list)  # recordings whose results are there
    skipped: list[str] = field(default_factory=list)  # by --skip-existing
    kept: list[str] = field(default_factory=list)  # results that were edited: one line each

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of sound."""
        return self.work_seconds / self.sound_seconds if self.sound_seconds else 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one more recording."""
        if outcome.failure is not None:
            self.failures.append(outcome.failure)
        if outcome.transcript is None:
            return
        self.sound_seconds += outcome.transcript.duration
        if outcome.failure is None:
            self.recordings += 1
        elif outcome.transcript.duration:
            self.in_part += 1

    def lines(self) -> list[str]:
        """For people: how much, how fast, and what was not done, by name."""
        idle = len(self.done_before) + len(self.skipped)
        total = self.recordings + len(self.failures) + idle
        in_part = f" and {self.in_part} in part" if self.in_part else ""
        line = (
            f"{self.recordings} of {total} recordings{in_part}, {self.sound_seconds:.1f} s of "
            f"sound in {self.work_seconds:.2f} s, real-time factor {self.real_time_factor:.3f}"
        )
        if total > 1 and self.work_seconds and self.sound_seconds:
            line += f", {self.sound_seconds / self.work_seconds:.0f} hours an hour"
        lines = [line]
        for what, sources in (("done before", self.done_before), ("skipped", self.skipped)):
            if sources:
                lines.append(f"{what}: {some_in_one_line(sources, NAMES_SHOWN)}")
        lines += [f"kept: {in_one_line(line)}" for line in self.kept]
        return lines + [f"failed: {in_one_line(failure)}" for failure in self.failures]


def transcribe_all(
    sources: Sequence[str],
    read: Read,
    progress: Callable[[str, float], None] = lambda source, seconds: None,
    track: int = 1,
    channels: Channels = MIXED,
    shape: Callable[[Transcript], Transcript] = lambda transcript: transcript,
) -> Iterator[Outcome]:
    """Transcribe sources; the error of one is in its outcome.

    Args:
        sources: paths of recordings, or "-" for standard input.
        progress: is called with a source and how many more seconds of it were read.
        track: which sound track of each, from 1 on.
        channels: whether channels are mixed or each is transcribed alone.
        shape: is applied to each channel's transcript: its written form, its case.
    """
    opened: deque[Recording] = deque()

    def each_channel() -> Iterator[Iterable[Samples]]:
        for source in sources:
            recording = Recording(source, progress, track, channels)
            opened.append(recording)
            yield from recording.channels()

    found: list[Transcript | RillError] = []
    for one in read(each_channel()):
        recording = opened[0]
        found.append(shape(one) if isinstance(one, Transcript) else one)
        if len(found) == recording.channel_count:
            opened.popleft().close()
            yield _outcome(recording, merged(found, recording.channel_names))
            found = []


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


def write_all(
    outcomes: Iterable[Outcome],
    write: Callable[[str, Transcript], None],
    summary: Summary | None = None,
) -> Summary:
    """Write the transcripts as they come; of a damaged recording what is there.

    Args:
        write: takes a source and its transcript; a ConfigError that it raises is a failure of this
            recording.
        summary: of the recordings that needed no work.
    """
    summary, start = summary or Summary(), time.perf_counter()
    for outcome in outcomes:
        if outcome.transcript:
            try:
                write(outcome.source, outcome.transcript)
            except ConfigError as error:
                failure = f"{outcome.failure}; {error}" if outcome.failure else str(error)
                outcome = replace(outcome, transcript=None, failure=failure)  # not written
        summary.add(outcome)
    summary.work_seconds = time.perf_counter() - start
    return summary


def _outcome(recording: Recording, found: Transcript | RillError) -> Outcome:
    transcript = found if isinstance(found, Transcript) else None
    failure = transcript.damage if transcript else str(found)
    # Messages about the sound name its source, faults of recognition do not.
    if failure is not None and recording.name not in failure:
        failure = f"{recording.name}: {failure}"
    return Outcome(recording.source, transcript, failure)
