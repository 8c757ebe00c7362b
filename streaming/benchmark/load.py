"""What a machine carries: `rill load --streams 1,10,25,50,100`.

Voices speak in real time in this process, as a server hears them: pieces of 100 ms, different
recordings one after another with a pause between, begun at different moments. `Turns` hears them on
one thread a core. The delay of a piece is from the moment at which it was spoken to that at which
what came of it was told; pieces that complete no chunk, and need next to no work, do not count.
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
from asr.batch.jobs import find_recordings
from asr.errors import ConfigError
from asr.recognizer import Recognizer
from streaming.scheduler import StreamScheduler, push_batch, raised_if_failed
from streaming.stream import Partial, Stream

PIECE_SECONDS = 0.1
PAUSE_SECONDS = 1.5  # between two recordings: longer than the silence that ends an utterance
START_SECONDS = 2.0  # in which all voices begin; what is told in it does not count
BATCHED = (1, 50)  # voices
MAX_RECORDINGS = 50  # of a folder


@dataclass(frozen=True)
class Load:
    """So many voices at once in real time. Delays in milliseconds."""

    streams: int
    delay_ms_median: float
    delay_ms_p95: float
    delay_ms_worst: float
    cores_used: float  # CPU time in a second of real time, the voices' own included
    real_time_factor: float  # CPU time of a stream in a second of its sound

    def line(self) -> str:
        """For people."""
        return (
            f"{self.streams} in real time: delay median {self.delay_ms_median:.0f} ms, "
            f"95 % within {self.delay_ms_p95:.0f} ms, worst {self.delay_ms_worst:.0f} ms; "
            f"{self.cores_used:.2f} cores, real-time factor a stream {self.real_time_factor:.4f}"
        )


@dataclass(frozen=True)
class InStep:
    """As fast as it goes, all streams chunk by chunk."""

    streams: int
    real_time_factor: float  # CPU time of a stream in a second of its sound

    def line(self) -> str:
        """For people."""
        return (
            f"in step, as fast as it goes: {self.streams} stream{'s' * (self.streams > 1)}, "
            f"real-time factor a stream {self.real_time_factor:.4f}"
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
    """Report voices in step, and each number of voices in real time; all of it as JSON.

    Args:
        source: a recording or a folder of them.
        streams: numbers of voices, as "1,10,50".
        seconds: of real time for each of them.
        cores: that this process keeps to, with a thread on each.
        second_pass: of every voice.

    Raises:
        ConfigError, AudioError: what cannot be honoured.
    """
    counts = numbers(streams)
    keep_to(cores)
    recordings = said_in(source)
    recognizer.warm_up()
    report(
        f"{len(recordings)} recordings, {sum(map(len, recordings)) / SAMPLE_RATE:.0f} s; "
        f"{cores} core{'s' * (cores > 1)}; chunks of "
        f"{1000 * recognizer.chunk_samples / SAMPLE_RATE:.0f} ms; "
        f"{'two passes' if second_pass else 'one pass'}; {recognizer.engine.description}"
    )
    # The first voice of a process pays for what all later ones find in the caches.
    streams_in_batches(recognizer, recordings, 1, seconds, second_pass)
    in_step = []
    for count in BATCHED:
        in_step.append(streams_in_batches(recognizer, recordings, count, seconds, second_pass))
        report(in_step[-1].line())
    curve = []
    for count in counts:
        curve.append(
            voices_in_real_time(recognizer, recordings, count, seconds, cores, second_pass)
        )
        report(curve[-1].line())
    return {
        "cores": cores,
        "second_pass": second_pass,
        "in_step": [asdict(one) for one in in_step],
        "real_time": [asdict(one) for one in curve],
    }


def voices_in_real_time(
    recognizer: Recognizer,
    recordings: Sequence[Samples],
    streams: int,
    seconds: float,
    workers: int,
    second_pass: bool,
) -> Load:
    """Delays and CPU time while so many voices speak."""
    turns = StreamScheduler(workers)
    voices = [
        _Voice(
            turns,
            Stream(recognizer, second_pass=second_pass),
            spoken_pieces(recordings, first),
        )
        for first in range(streams)
    ]
    began = time.monotonic()
    due = [(began + START_SECONDS * k / streams, k) for k in range(streams)]
    heapq.heapify(due)
    ends, cpu_began = began + START_SECONDS + seconds, None
    while (at := due[0][0]) < ends:
        time.sleep(max(0.0, at - time.monotonic()))
        if cpu_began is None and at >= began + START_SECONDS:
            cpu_began = time.process_time()
        _, number = heapq.heappop(due)
        voices[number].speak(at)
        heapq.heappush(due, (at + PIECE_SECONDS, number))
    cpu = time.process_time() - (cpu_began or 0.0)
    now = time.monotonic()
    turns.close()
    delays = [
        1000 * (told - spoken)
        for voice in voices
        # What was not yet told has waited so long at least.
        for spoken, told in zip_longest(
            voice.spoken, voice.told[: len(voice.spoken)], fillvalue=now
        )
        if spoken >= began + START_SECONDS
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
) -> InStep:
    """CPU time of so many streams that hear `seconds` of sound each, chunk by chunk."""
    chunk_seconds = recognizer.chunk_samples / SAMPLE_RATE
    chunks = max(1, round(seconds / chunk_seconds))
    voices = [
        list(islice(spoken_pieces(recordings, k, chunk_seconds), chunks)) for k in range(streams)
    ]
    heard_by = [Stream(recognizer, second_pass=second_pass) for _ in voices]
    began = time.process_time()
    for pieces in zip(*voices):
        for answer in push_batch(heard_by, pieces):
            raised_if_failed(answer)
    used = time.process_time() - began
    return InStep(streams, used / (chunks * chunk_seconds * streams))


@dataclass(eq=False)
class _Voice:
    """One client: it sends what has been spoken as soon as it was answered."""

    turns: StreamScheduler
    stream: Stream
    pieces: Iterator[Samples]
    spoken: list[float] = field(default_factory=list)  # moments at which a chunk became whole
    told: list[float] = field(default_factory=list)  # when what came of it was told
    _unsent: list[Samples] = field(default_factory=list)
    _samples: int = 0
    _sending: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def speak(self, at: float) -> None:
        """The next piece, which ends at that moment."""
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
            whole = len(self.spoken)

        def answered(answer: Future[list[Partial]]) -> None:
            if answer.exception():
                return  # the threads have been closed
            self.told += [time.monotonic()] * (whole - len(self.told))
            with self._lock:
                self._sending = False
            self._send()

        self.turns.push(self.stream, samples).add_done_callback(answered)


def said_in(source: Path) -> list[Samples]:
    """A recording or the first ones of a folder."""
    return [read_audio(path) for path in find_recordings([str(source)])[:MAX_RECORDINGS]]


def spoken_pieces(
    recordings: Sequence[Samples],
    first: int,
    seconds: float = PIECE_SECONDS,
    pause: float = PAUSE_SECONDS,
) -> Iterator[Samples]:
    """The recordings over and over, with pauses, from a place in the `first` on."""
    size, silence = round(seconds * SAMPLE_RATE), round(pause * SAMPLE_RATE)
    order = [recordings[(first + k) % len(recordings)] for k in range(len(recordings))]
    start = first * 7919 * size // 100 % len(order[0])
    rest = np.zeros(0, np.float32)
    for recording in chain([order[0][start:]], order[1:], cycle(order)):
        rest = np.concatenate([rest, np.pad(recording, (0, silence))])
        while len(rest) >= size:
            piece, rest = rest[:size], rest[size:]
            yield piece


def keep_to(count: int) -> None:
    """Let this process, and threads that it begins from now on, run on so many cores alone.

    Raises:
        ConfigError: there are fewer, or the system cannot do it.
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
