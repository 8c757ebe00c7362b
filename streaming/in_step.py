"""Many streams in step: chunks that wait at the same moment go through the network as one batch.

What each stream tells is what `Stream.push` alone tells, to the last bit (asr/onnx_engine.py);
decoding is each stream's own. `push_in_step` is for recordings side by side; `Turns` for live
voices, on a few threads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

import numpy as np

from asr.errors import RillError
from streaming.stream import Final, Partial, Stream

MOST_IN_A_TURN = 32  # chunks: others that come meanwhile wait for their decoding too


def push_in_step(streams: Sequence[Stream], pieces: Sequence[np.ndarray]) -> list[list[Partial]]:
    """`Stream.push` for many streams of one recogniser, each with its own samples.

    Raises:
        AudioError, ConfigError: as Stream.push; then none of the streams has heard its chunks.
    """
    for stream, samples in zip(streams, pieces):
        stream.accept(samples)
    told: list[list[Partial]] = [[] for _ in streams]
    while ready := [number for number, stream in enumerate(streams) if stream.has_chunk]:
        heard = hear_in_step([streams[number] for number in ready])
        for number, events in zip(ready, heard):
            told[number] += events
            for finals in streams[number].work():
                told[number] += finals
    return told


def hear_in_step(streams: Sequence[Stream]) -> Iterator[list[Partial]]:
    """The next chunk of each, all of which have one and share a network: what each tells, as soon
    as it is decoded. Each stream's `work` comes next."""
    states, chunks = zip(*(stream.next_chunk() for stream in streams))
    stepped = streams[0].recognizer.step_together(states, chunks)
    for stream, heard in zip(streams, stepped):
        yield stream.hear(*heard)


@dataclass(eq=False)
class _Job:
    """What was asked for and not yet answered."""

    stream: Stream
    pieces: Iterator[list[Final]] | None = None  # of a stream's `work` that has begun
    told: list[Partial] = field(default_factory=list)
    answer: Future[list[Partial]] = field(default_factory=Future)


class Turns:
    """Threads on which streams take turns. Whoever has waited longest is served first, and at one
    turn gets a chunk heard, or a piece of a second pass; with it go the chunks of all others that
    wait. A voice that is alone waits for nobody, and one that sends faster than it speaks has no
    more turns than the others."""

    def __init__(
        self, workers: int, worked: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """Starts the threads.

        Args:
            worked: is told the seconds that each turn took.
        """
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._worked = worked
        self._threads = [
            threading.Thread(target=self._work, name=f"turns-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def push(self, stream: Stream, samples: np.ndarray) -> Future[list[Partial]]:
        """`Stream.push`; the next call for this stream only when this one is answered. Samples that
        complete no chunk are kept and answered here and now. All streams share a network."""
        job = _Job(stream)
        try:
            stream.accept(samples)
        except RillError as error:
            job.answer.set_exception(error)
            return job.answer
        if stream.has_chunk:
            return self._ask(job)
        job.answer.set_result([])
        return job.answer

    def finish(self, stream: Stream) -> Future[list[Partial]]:
        """`Stream.finish`: a list of the last utterance."""
        return self._ask(_Job(stream, pieces=([f] if f else [] for f in stream.finishing())))

    def close(self) -> None:
        """No more work is begun; who waits gets a CancelledError. A turn that has begun is waited
        for: a process that ends within one, in the network's own code, would be aborted."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._changed.notify_all()
        for job in waiting:
            job.answer.set_exception(CancelledError())
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _ask(self, job: _Job) -> Future[list[Partial]]:
        job.answer.set_running_or_notify_cancel()  # whoever asks cannot take it back
        with self._changed:
            if self._closed:
                job.answer.set_exception(CancelledError())
            else:
                self._waiting.append(job)
                self._changed.notify()
        return job.answer

    def _work(self) -> None:
        while jobs := self._next_turn():
            began = time.monotonic()
            (self._hear if jobs[0].pieces is None else self._go_on)(jobs)
            self._worked(time.monotonic() - began)

    def _next_turn(self) -> list[_Job]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            jobs = [self._waiting.popleft()]
            if jobs[0].pieces is None:
                jobs += [job for job in self._waiting if job.pieces is None][: MOST_IN_A_TURN - 1]
                taken = set(jobs)
                self._waiting = deque(job for job in self._waiting if job not in taken)
        return jobs

    def _hear(self, jobs: list[_Job]) -> None:
        """A chunk for each."""
        try:
            for job, told in zip(jobs, hear_in_step([job.stream for job in jobs])):
                job.told += told
                if job.stream.has_work:
                    job.pieces = job.stream.work()
                self._answer_or_wait(job)
        except Exception as error:  # a thread that ends would leave all others without an answer
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_exception(error)

    def _go_on(self, jobs: list[_Job]) -> None:
        """A piece of a second pass, or of an utterance's end."""
        (job,) = jobs
        assert job.pieces
        try:
            job.told += next(job.pieces)
        except StopIteration:
            job.pieces = None
        except Exception as error:
            job.answer.set_exception(error)
            return
        self._answer_or_wait(job)

    def _answer_or_wait(self, job: _Job) -> None:
        """The answer, or the next turn when all others had theirs."""
        if job.pieces is None and not job.stream.has_chunk:
            job.answer.set_result(job.told)
            return
        with self._changed:
            if not self._closed:
                self._waiting.append(job)
                self._changed.notify()
                return
        job.answer.set_exception(CancelledError())
