"""The number of streams that a machine carries: `rill load --streams 1,10,25,50,100`.

Simulated speakers send audio in real time within this process, as clients of a server do: pieces of
100 ms, different recordings one after another with pauses, started at different times.
`StreamScheduler` processes them on one thread per core. The delay of a piece is the time from its
end in the audio to its events; pieces that complete no chunk need almost no work and are not
counted.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from itertools import chain, cycle, islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE, Samples, read_audio
from asr.batch.finding import find_recordings
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from streaming.events import Event
from streaming.scheduler import StreamScheduler, push_batch, raised_if_failed
from streaming.stream import Stream

PIECE_SECONDS = 0.1
PAUSE_SECONDS = 1.5  # between two recordings: longer than the silence that ends an utterance
START_SECONDS = 2.0  # within which all streams start; its delays are not counted
BATCH_SIZES = (1, 50)  # streams
MAX_RECORDINGS = 50  # of a folder


@dataclass(frozen=True)
class Load:
    """A number of streams in real time. Delays in milliseconds."""

    streams: int
    delay_ms_median: float
    delay_ms_p95: float
    delay_ms_worst: float
    cores_used: float  # CPU time per second of real time, that of the speakers included
    real_time_factor: float  # CPU time of a stream per second of its audio

    def line(self) -> str:
        """The figures as text."""
        return (
            f"{self.streams} in real time: delay median {self.delay_ms_median:.0f} ms, "
            f"95 % within {self.delay_ms_p95:.0f} ms, worst {self.delay_ms_worst:.0f} ms; "
            f"{self.cores_used:.2f} cores, real-time factor per stream {self.real_time_factor:.4f}"
        )


@dataclass(frozen=True)
class BatchedSpeed:
    """A number of streams in one batch, as fast as possible."""

    streams: int
    real_time_factor: float  # CPU time of a stream per second of its audio

    def line(self) -> str:
        """The figures as text."""
        return (
            f"in batches, as fast as possible: {self.streams} stream{'s' * (self.streams > 1)}, "
            f"real-time factor per stream {self.real_time_factor:.4f}"
        )


def measure_load(
    source: Path,
    recognizer: Recognizer,
    streams: str,
    seconds: float,
    cores: int,
    second_pass: bool,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Report streams in batches, and each number of streams in real time.

    Args:
        source: a recording or a folder of recordings.
        streams: numbers of streams, as "1,10,50".
        seconds: of real time for each number.
        cores: to which this process is bound, with one thread on each.
        second_pass: of every stream.

    Returns:
        All figures, as JSON has them.

    Raises:
        ConfigError, AudioError: an invalid option or recording.
    """
    counts = numbers(streams)
    bind_to_cores(cores)
    recordings = read_recordings(source)
    recognizer.warm_up()
    report(
        f"{len(recordings)} recordings, {sum(map(len, recordings)) / SAMPLE_RATE:.0f} s; "
        f"{cores} core{'s' * (cores > 1)}; chunks of "
        f"{1000 * recognizer.chunk_samples / SAMPLE_RATE:.0f} ms; "
        f"{'two passes' if second_pass else 'one pass'}; {recognizer.engine.description}"
    )
    # One warm-up stream runs first and is not counted: it fills the caches.
    streams_in_batches(recognizer, recordings, 1, seconds, second_pass)
    batched = []
    for count in BATCH_SIZES:
        batched.append(streams_in_batches(recognizer, recordings, count, seconds, second_pass))
        report(batched[-1].line())
    curve = []
    for count in counts:
        curve.append(
            streams_in_real_time(recognizer, recordings, count, seconds, cores, second_pass)
        )
        report(curve[-1].line())
    return {
        "cores": cores,
        "second_pass": second_pass,
        "batched": [asdict(one) for one in batched],
        "real_time": [asdict(one) for one in curve],
    }


def streams_in_real_time(
    recognizer: Recognizer,
    recordings: Sequence[Samples],
    streams: int,
    seconds: float,
    workers: int,
    second_pass: bool,
) -> Load:
    """Measure delays and CPU time of this many streams in real time."""
    scheduler = StreamScheduler(workers)
    speakers = [
        _Speaker(
            scheduler,
            Stream(recognizer, second_pass=second_pass),
            spoken_pieces(recordings, first),
        )
        for first in range(streams)
    ]
    started = time.monotonic()
    due = [(started + START_SECONDS * k / streams, k) for k in range(streams)]
    heapq.heapify(due)
    ends, cpu_started = started + START_SECONDS + seconds, None
    while (at := due[0][0]) < ends:
        time.sleep(max(0.0, at - time.monotonic()))
        if cpu_started is None and at >= started + START_SECONDS:
            cpu_started = time.process_time()
        _, number = heapq.heappop(due)
        speakers[number].speak(at)
        heapq.heappush(due, (at + PIECE_SECONDS, number))
    cpu = time.process_time() - (cpu_started or 0.0)
    now = time.monotonic()
    scheduler.close()
    delays = [
        1000 * (answered - spoken)
        for speaker in speakers
        # A lower bound for chunks that have no answer yet.
        for spoken, answered in zip_longest(
            speaker.spoken, speaker.answered[: len(speaker.spoken)], fillvalue=now
        )
        if spoken >= started + START_SECONDS
    ]
    median, p95 = np.percentile(delays, [50, 95])
    return Load(
        streams, float(median), float(p95), max(delays), cpu / seconds, cpu / seconds / streams
    )


def streams_in_batches(
    recognizer: Recognizer,
    recordings: Sequence[Samples],
    streams: int,
    seconds: float,
    second_pass: bool,
) -> BatchedSpeed:
    """Measure the CPU time of this many streams with `seconds` of audio each, chunk by chunk."""
    chunk_seconds = recognizer.chunk_samples / SAMPLE_RATE
    chunks = max(1, round(seconds / chunk_seconds))
    sources = [
        list(islice(spoken_pieces(recordings, k, chunk_seconds), chunks)) for k in range(streams)
    ]
    opened = [Stream(recognizer, second_pass=second_pass) for _ in sources]
    started = time.process_time()
    for pieces in zip(*sources):
        for result in push_batch(opened, pieces):
            raised_if_failed(result)
    used = time.process_time() - started
    return BatchedSpeed(streams, used / (chunks * chunk_seconds * streams))


@dataclass(eq=False)
class _Speaker:
    """A client that sends all audio spoken so far when its previous message is answered."""

    scheduler: StreamScheduler
    stream: Stream
    pieces: Iterator[Samples]
    spoken: list[float] = field(default_factory=list)  # times at which a chunk was complete
    answered: list[float] = field(default_factory=list)  # times of its answer
    _unsent: list[Samples] = field(default_factory=list)
    _samples: int = 0
    _sending: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def speak(self, at: float) -> None:
        """Speak the next piece, which ends at this time."""
        piece, chunk = next(self.pieces), self.stream.recognizer.chunk_samples
        with self._lock:
            self._unsent.append(piece)
            self._samples += len(piece)
            if self._samples // chunk > (self._samples - len(piece)) // chunk:
                self.spoken.append(at)
        self._send()

    def _send(self) -> None:
        with self._lock:
            if self._sending or not self._unsent:
                return
            self._sending = True
            samples, self._unsent = np.concatenate(self._unsent), []
            complete = len(self.spoken)

        def on_answer(future: Future[list[Event]]) -> None:
            if future.exception():
                return  # the scheduler is closed
            self.answered += [time.monotonic()] * (complete - len(self.answered))
            with self._lock:
                self._sending = False
            self._send()

        self.scheduler.push(self.stream, samples).add_done_callback(on_answer)


def read_recordings(source: Path) -> list[Samples]:
    """A recording, or the first ones of a folder."""
    return [read_audio(path) for path in find_recordings([str(source)])[:MAX_RECORDINGS]]


def spoken_pieces(
    recordings: Sequence[Samples],
    first: int,
    seconds: float = PIECE_SECONDS,
    pause: float = PAUSE_SECONDS,
) -> Iterator[Samples]:
    """The recordings in an endless loop with pauses, starting within recording `first`."""
    size, silence = round(seconds * SAMPLE_RATE), round(pause * SAMPLE_RATE)
    order = [recordings[(first + k) % len(recordings)] for k in range(len(recordings))]
    start = first * 7919 * size // 100 % len(order[0])
    rest = np.zeros(0, np.float32)
    for recording in chain([order[0][start:]], order[1:], cycle(order)):
        rest = np.concatenate([rest, np.pad(recording, (0, silence))])
        while len(rest) >= size:
            piece, rest = rest[:size], rest[size:]
            yield piece


def bind_to_cores(count: int) -> None:
    """Bind this process, and threads that it starts later, to this many cores.

    Raises:
        ConfigError: there are fewer cores, or the system does not support it.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise ConfigError("--cores needs Linux")
    cores = sorted(os.sched_getaffinity(0))
    if count > len(cores):
        raise ConfigError(f"--cores {count}: this process may use {len(cores)}")
    os.sched_setaffinity(0, cores[:count])


def numbers(text: str) -> list[int]:
    """The numbers in "1,10,25"; raises ConfigError for anything else."""
    numbers = text.split(",")
    if not all(number.strip().isdigit() and int(number) for number in numbers):
        raise ConfigError(f"--streams {text}: expected numbers as in 1,10,25,50,100")
    return [int(number) for number in numbers]
