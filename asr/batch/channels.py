"""A recording's channels: mixed to one, or each transcribed alone and merged by time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asr.audio import SAMPLE_RATE, Samples, channel_count, read_blocks
from asr.batch.standard_input import SourceFile
from asr.errors import AudioError, ConfigError, RillError
from asr.transcript import Segment, Transcript

BLOCK_SECONDS = 1.0
MAX_NAME_LETTERS = 40


@dataclass(frozen=True)
class Channels:
    """What becomes of the channels of a recording.

    Raises:
        ConfigError: names that cannot be told apart or shown.
    """

    separate: bool = False
    names: tuple[str, ...] = ()  # of separate channels; "channel 1" and so on if empty

    def __post_init__(self) -> None:
        if self.names and not self.separate:
            raise ConfigError("--channel-names belongs to --channels separate")
        if len(set(self.names)) < len(self.names):
            raise ConfigError("--channel-names: two channels have the same name")
        for name in self.names:
            printable = name.isprintable() and name.strip() == name
            if not name or not printable or len(name) > MAX_NAME_LETTERS:
                raise ConfigError(
                    f"--channel-names: {name!r} is no name; give 1 to {MAX_NAME_LETTERS} letters "
                    "for each channel, as in agent,caller"
                )

    def names_of(self, count: int, recording: str) -> tuple[str, ...]:
        """The names of so many channels; a single channel has none.

        Raises:
            AudioError: more or fewer channels than names.
        """
        if count == 1:
            return ("",)
        if self.names and len(self.names) != count:
            names = "1 name" if len(self.names) == 1 else f"{len(self.names)} names"
            raise AudioError(
                f"{recording}: has {count} channels, --channel-names has {names}; give one for "
                "each channel"
            )
        return self.names or tuple(f"channel {number}" for number in range(1, count + 1))


MIXED = Channels()


class Recording:
    """A recording whose channels are read side by side."""

    def __init__(
        self, source: str, progress: Callable[[str, float], None], track: int, channels: Channels
    ) -> None:
        self.source, self.name = source, source
        self._progress, self._track, self._channels = progress, track, channels
        self._file: SourceFile | None = None
        self.channel_names: tuple[str, ...] = ("",)

    @property
    def channel_count(self) -> int:
        """How many transcripts belong to this recording."""
        return len(self.channel_names)

    def channels(self) -> Iterator[Iterable[Samples]]:
        """The blocks of each channel, float32 [samples] at 16 kHz, or of their mix."""
        if not self._channels.separate:
            yield self._blocks(None)
            return
        try:
            file = self._opened()
            count = channel_count(file.opened(), file.name, self._track)
            self.channel_names = self._channels.names_of(count, file.name)
        except AudioError as error:
            yield _failing(error)
            return
        for number in range(1, self.channel_count + 1):
            yield self._blocks(number)

    def close(self) -> None:
        """Give back what standard input takes."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> SourceFile:
        if self._file is None:
            self._progress(self.source, 0.0)
            if os.path.isdir(self.source):
                raise AudioError(f"{self.source}: no recording below this folder")
            self._file = SourceFile(self.source)
            self.name = self._file.name
        return self._file

    def _blocks(self, channel: int | None) -> Iterator[Samples]:
        file = self._opened()
        for block in read_blocks(
            file.opened(), BLOCK_SECONDS, file.name, track=self._track, channel=channel
        ):
            yield block
            self._progress(self.source, len(block) / SAMPLE_RATE / self.channel_count)


def merged(found: Sequence[Transcript | RillError], names: Sequence[str]) -> Transcript | RillError:
    """One transcript of all channels, its segments in order of their starts.

    A channel that failed is the damage of the whole; where all failed, its error is the result.
    """
    if len(found) == 1:
        return found[0]
    segments: list[Segment] = []
    damage: list[str] = []
    duration = 0.0
    for one, name in zip(found, names):
        if isinstance(one, Transcript):
            segments += [replace(segment, channel=name) for segment in one.segments]
            duration = max(duration, one.duration)
            problem = one.damage
        else:
            problem = str(one)
        if problem is not None:
            damage.append(problem)
    errors = [one for one in found if isinstance(one, RillError)]
    if len(errors) == len(found):
        return errors[0]
    segments.sort(key=lambda segment: segment.words[0].start)
    said = "; ".join(dict.fromkeys(damage)) or None
    return Transcript(tuple(segments), duration, said)


def _failing(error: RillError) -> Iterator[Samples]:
    raise error
    yield
