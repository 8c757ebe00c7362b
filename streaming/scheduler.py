"""Many streams in step: chunks that wait at the same moment go through the network as one batch.

What each stream tells is what `Stream.push` alone tells, to the last bit
(asr/acoustic/onnx_engine.py); decoding is each stream's own. `push_batch` is for recordings side
by side; `Turns` for live voices, on a few threads.

A failure is its stream's own too: an exception of one stream is that stream's answer, and the
others are heard as if it were not there. When a batch fails, each of its chunks is heard alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from asr.audio import Samples
from asr.recognizer import Recognizer, RecognizerState, StepOutput
from streaming.stream import Stream
from streaming.utterance import Final, Partial

Result = TypeVar("Result")

MAX_BATCH_CHUNKS = 32  # chunks: others that come meanwhile wait for their decoding too


Failure = Exception  # of one stream: its answer, in place of what it would have told


def push_batch(
    streams: Sequence[Stream], pieces: Sequence[np.ndarray]
) -> list[list[Partial] | Failure]:
    """`Stream.push` for many streams of one recogniser, each with its own samples.

    Returns:
        For each stream what `Stream.push` returns, or the exception that it raises: an AudioError
        for samples that cannot be used, and that stream is as it was before.
    """
    told: list[list[Partial]] = [[] for _ in streams]
    failures: dict[int, Failure] = {}
    for number, (stream, samples) in enumerate(zip(streams, pieces)):
        try:
            stream.accept(samples)
        except Exception as error:
            failures[number] = error
    while True:
        ready = []
        for number, stream in enumerate(streams):
            try:
                if number not in failures and stream.has_chunk:
                    ready.append(number)
            except Exception as error:
                failures[number] = error
        if not ready:
            break
        heard = process_batch([streams[number] for number in ready])
        for number, events in zip(ready, heard):
            try:
                told[number] += raised_if_failed(events)
                for finals in streams[number].work():
                    told[number] += finals
            except Exception as error:
                failures[number] = error
    return [failures.get(number, events) for number, events in enumerate(told)]


def process_batch(streams: Sequence[Stream]) -> Iterator[list[Partial] | Failure]:
    """The next chunk of each, all of which have one and share a network: what each tells, as soon
    as it is decoded, or the exception that ended it. Each stream's `work` comes next."""
    for stream, heard in zip(streams, _step_batch(streams)):
        try:
            yield stream.hear(*raised_if_failed(heard))
        except Exception as error:
            yield error


def raised_if_failed(answer: Result | Failure) -> Result:
    """The answer, if it is no exception."""
    if isinstance(answer, Exception):
        raise answer
    return answer


def _step_batch(
    streams: Sequence[Stream],
) -> list[tuple[RecognizerState, StepOutput] | Failure]:
    """What the network makes of each stream's next chunk."""
    given: list[tuple[RecognizerState, Samples] | Failure] = []
    for stream in streams:
        try:
            given.append(stream.next_chunk())
        except Exception as error:
            given.append(error)
    whole = [chunk for chunk in given if not isinstance(chunk, Exception)]
    if not whole:
        return [chunk for chunk in given if isinstance(chunk, Exception)]
    recognizer = streams[0].recognizer
    try:
        stepped: Iterator[tuple[RecognizerState, StepOutput] | Failure] = iter(
            recognizer.step_batch(*zip(*whole))
        )
    except Exception:  # nobody knows whose chunk it was: alone, a step changes no other's state
        stepped = iter([_step_alone(recognizer, *chunk) for chunk in whole])
    return [chunk if isinstance(chunk, Exception) else next(stepped) for chunk in given]


def _step_alone(
    recognizer: Recognizer, state: RecognizerState, chunk: Samples
) -> tuple[RecognizerState, StepOutput] | Failure:
    try:
        return recognizer.step(state, chunk)
    except Exception as error:
        return error


@dataclass(eq=False)
class _Job:
    """What was asked for and not yet answered."""

    stream: Stream
    pieces: Iterator[list[Final]] | None = None  # of a stream's `work` that has begun
    told: list[Partial] = field(default_factory=list)
    answer: Future[list[Partial]] = field(default_factory=Future)

    def fail(self, error: Exception) -> None:
        """The answer is this exception, if there is no answer yet."""
        if isinstance(error, StopIteration):  # which a coroutine that waits cannot be told
            error = RuntimeError(f"a stream raised {error!r}")
        if not self.answer.done():
            self.answer.set_exception(error)


class StreamScheduler:
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
        """`Stream.push`; the next call for this stream only when this one is answered, and none
        after an exception that is no RillError: the stream has ended. Samples that complete no
        chunk are kept and answered here and now. All streams share a network."""
        job = _Job(stream)
        try:
            stream.accept(samples)
            has_chunk = stream.has_chunk
        except Exception as error:
            job.fail(error)
            return job.answer
        if has_chunk:
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
            job.fail(CancelledError())
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _ask(self, job: _Job) -> Future[list[Partial]]:
        job.answer.set_running_or_notify_cancel()  # whoever asks cannot take it back
        with self._changed:
            if self._closed:
                job.fail(CancelledError())
            else:
                self._waiting.append(job)
                self._changed.notify()
        return job.answer

    def _work(self) -> None:
        while jobs := self._next_batch():
            began = time.monotonic()
            try:
                (self._hear if jobs[0].pieces is None else self._go_on)(jobs)
            except Exception as error:  # a thread that ends would leave all others unanswered
                for job in jobs:
                    job.fail(error)
            self._worked(time.monotonic() - began)

    def _next_batch(self) -> list[_Job]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            jobs = [self._waiting.popleft()]
            if jobs[0].pieces is None:
                jobs += [job for job in self._waiting if job.pieces is None][: MAX_BATCH_CHUNKS - 1]
                taken = set(jobs)
                self._waiting = deque(job for job in self._waiting if job not in taken)
        return jobs

    def _hear(self, jobs: list[_Job]) -> None:
        """A chunk for each."""
        for job, told in zip(jobs, process_batch([job.stream for job in jobs])):
            try:
                job.told += raised_if_failed(told)
                if job.stream.has_work:
                    job.pieces = job.stream.work()
                self._answer_or_wait(job)
            except Exception as error:
                job.fail(error)

    def _go_on(self, jobs: list[_Job]) -> None:
        """A piece of a second pass, or of an utterance's end."""
        (job,) = jobs
        assert job.pieces
        try:
            job.told += next(job.pieces)
        except StopIteration:
            job.pieces = None
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
        job.fail(CancelledError())
