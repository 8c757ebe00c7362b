"""Many streams at once: chunks that wait at the same moment go through the network as one batch.

The events of each stream are bit-identical to those of `Stream.push` alone
(asr/acoustic/onnx_engine.py); decoding is separate for each stream. `push_batch` is for recordings
in parallel, `StreamScheduler` for live streams on a few threads.

A failure stays with its stream: an exception in one stream is that stream's result, and the others
continue. When a batch fails, each of its chunks goes through the network alone.
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
from streaming.events import Event, Partial
from streaming.stream import Stream

Result = TypeVar("Result")
Failure = Exception  # of one stream, in place of its result

MAX_BATCH_CHUNKS = 32  # chunks that arrive during a batch wait until it is decoded


def push_batch(
    streams: Sequence[Stream], pieces: Sequence[np.ndarray]
) -> list[list[Event] | Failure]:
    """`Stream.push` for many streams of one recogniser, each with its own samples.

    Returns:
        For each stream what `Stream.push` returns, or the exception that it raises: an AudioError
        for samples that cannot be used, and that stream is as it was before.
    """
    events: list[list[Event]] = [[] for _ in streams]
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
        results = process_batch([streams[number] for number in ready])
        for number, partials in zip(ready, results):
            try:
                events[number] += raised_if_failed(partials)
                for found in streams[number].work():
                    events[number] += found
            except Exception as error:
                failures[number] = error
    return [failures.get(number, found) for number, found in enumerate(events)]


def process_batch(streams: Sequence[Stream]) -> Iterator[list[Partial] | Failure]:
    """Process the next chunk of each stream; all have one, and share a network.

    Returns:
        For each stream, as soon as its chunk is decoded, the result of `Stream.process` or the
        exception that was raised. `work` of each stream is called next.
    """
    for stream, output in zip(streams, _step_batch(streams)):
        try:
            yield stream.process(*raised_if_failed(output))
        except Exception as error:
            yield error


def raised_if_failed(result: Result | Failure) -> Result:
    """The result; raises it if it is an exception."""
    if isinstance(result, Exception):
        raise result
    return result


def _step_batch(
    streams: Sequence[Stream],
) -> list[tuple[RecognizerState, StepOutput] | Failure]:
    """The network's output for each stream's next chunk."""
    inputs: list[tuple[RecognizerState, Samples] | Failure] = []
    for stream in streams:
        try:
            inputs.append(stream.next_chunk())
        except Exception as error:
            inputs.append(error)
    chunks = [chunk for chunk in inputs if not isinstance(chunk, Exception)]
    if not chunks:
        return [chunk for chunk in inputs if isinstance(chunk, Exception)]
    recognizer = streams[0].recognizer
    outputs: Iterator[tuple[RecognizerState, StepOutput] | Failure]
    if len(chunks) == 1:
        outputs = iter([_step_alone(recognizer, *chunks[0])])
    else:
        try:
            outputs = iter(recognizer.step_batch(*zip(*chunks)))
        except Exception:  # of an unknown stream; a step changes no other stream's state
            outputs = iter([_step_alone(recognizer, *chunk) for chunk in chunks])
    return [chunk if isinstance(chunk, Exception) else next(outputs) for chunk in inputs]


def _step_alone(
    recognizer: Recognizer, state: RecognizerState, chunk: Samples
) -> tuple[RecognizerState, StepOutput] | Failure:
    try:
        return recognizer.step(state, chunk)
    except Exception as error:
        return error


@dataclass(eq=False)
class _Job:
    """A request that has no result yet."""

    stream: Stream
    pieces: Iterator[Sequence[Event]] | None = None  # of a stream's `work` that has started
    events: list[Event] = field(default_factory=list)
    future: Future[list[Event]] = field(default_factory=Future)

    def fail(self, error: Exception) -> None:
        """Make the exception the result, if there is none yet."""
        if isinstance(error, StopIteration):  # which cannot be raised in a coroutine that awaits
            error = RuntimeError(f"a stream raised {error!r}")
        if not self.future.done():
            self.future.set_exception(error)


class StreamScheduler:
    """Threads that serve many streams in a fair order.

    The stream that waited longest is served first. A turn processes one chunk, together with the
    chunks of all other waiting streams, or one piece of a second pass. A single stream waits for
    nothing, and a stream that sends faster than real time has no more turns than the others.
    """

    def __init__(
        self, workers: int, on_turn: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """Start the threads.

        Args:
            on_turn: called after each turn with its seconds.
        """
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._on_turn = on_turn
        self._threads = [
            threading.Thread(target=self._work, name=f"stream-worker-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def push(self, stream: Stream, samples: np.ndarray) -> Future[list[Event]]:
        """`Stream.push` on a thread.

        Samples that complete no chunk are queued, and the future is done on return. All streams
        share a network. The next call for a stream comes when the future of this one is done, and
        none comes after an exception that is no RillError, which ends the stream.
        """
        job = _Job(stream)
        try:
            stream.accept(samples)
            has_chunk = stream.has_chunk
        except Exception as error:
            job.fail(error)
            return job.future
        if has_chunk:
            return self._submit(job)
        job.future.set_result([])
        return job.future

    def finish(self, stream: Stream) -> Future[list[Event]]:
        """`Stream.finish` on a thread: a list of the last utterance."""
        return self._submit(_Job(stream, pieces=([f] if f else [] for f in stream.finish_work())))

    def close(self) -> None:
        """Start no more turns; waiting requests end with CancelledError. Waits for running turns:
        a process that exits during one, within native code of the network, would abort."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._changed.notify_all()
        for job in waiting:
            job.fail(CancelledError())
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _submit(self, job: _Job) -> Future[list[Event]]:
        job.future.set_running_or_notify_cancel()  # the caller cannot cancel it
        with self._changed:
            if self._closed:
                job.fail(CancelledError())
            else:
                self._waiting.append(job)
                self._changed.notify()
        return job.future

    def _work(self) -> None:
        while jobs := self._next_batch():
            started = time.monotonic()
            try:
                (self._process if jobs[0].pieces is None else self._continue)(jobs)
            except Exception as error:  # a thread that ends would leave all others without results
                for job in jobs:
                    job.fail(error)
            self._on_turn(time.monotonic() - started)

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

    def _process(self, jobs: list[_Job]) -> None:
        """One chunk of each stream."""
        for job, partials in zip(jobs, process_batch([job.stream for job in jobs])):
            try:
                job.events += raised_if_failed(partials)
                if job.stream.has_work:
                    job.pieces = job.stream.work()
                self._complete_or_requeue(job)
            except Exception as error:
                job.fail(error)

    def _continue(self, jobs: list[_Job]) -> None:
        """One piece of a second pass, or of an utterance's end."""
        (job,) = jobs
        assert job.pieces
        try:
            job.events += next(job.pieces)
        except StopIteration:
            job.pieces = None
        self._complete_or_requeue(job)

    def _complete_or_requeue(self, job: _Job) -> None:
        """Set the result, or wait for the next turn behind all other streams."""
        if job.pieces is None and not job.stream.has_chunk:
            job.future.set_result(job.events)
            return
        with self._changed:
            if not self._closed:
                self._waiting.append(job)
                self._changed.notify()
                return
        job.fail(CancelledError())
