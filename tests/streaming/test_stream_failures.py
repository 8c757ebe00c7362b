"""An exception in one stream ends that stream alone, wherever it is raised: twenty other streams
emit the events that each emits alone, and the threads continue."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AudioError
from asr.recognizer import Recognizer, RecognizerState, StepOutput
from asr.transcript import Segment, Transcript
from streaming.events import Event, Final, Partial
from streaming.recordings import transcribe_batch
from streaming.scheduler import StreamScheduler, push_batch
from streaming.stream import Stream

BESIDE = 20
POISON = np.float32(0.125)  # magnitude of every sample of a chunk for which the network fails
PLACES = (
    "accept", "has_chunk", "next_chunk", "network", "process", "has_work", "work", "work later",
    "finish_work", "finish_work later",
)  # fmt: skip


class Injected(Exception):
    """An exception of a stream's own code."""


class FailingStream(Stream):
    """Raises in one method."""

    place = ""
    error: Exception = Injected("here")

    def _fail_at(self, place: str) -> None:
        if self.place == place:
            raise self.error

    def accept(self, samples: np.ndarray) -> None:
        self._fail_at("accept")
        super().accept(samples)

    @property
    def has_chunk(self) -> bool:
        self._fail_at("has_chunk")
        return super().has_chunk

    def next_chunk(self) -> tuple[RecognizerState, Samples]:
        self._fail_at("next_chunk")
        return super().next_chunk()

    def process(self, state: RecognizerState, output: StepOutput) -> list[Partial]:
        self._fail_at("process")
        return super().process(state, output)

    @property
    def has_work(self) -> bool:
        self._fail_at("has_work")
        return super().has_work

    def work(self) -> Iterator[list[Final]]:
        self._fail_at("work")
        for piece in super().work():
            yield piece
            self._fail_at("work later")

    def finish_work(self) -> Iterator[Final | None]:
        self._fail_at("finish_work")
        for piece in super().finish_work():
            yield piece
            self._fail_at("finish_work later")


def poison(length: int) -> Samples:
    """Of alternating sign, because a constant offset would be removed."""
    return np.resize(np.array([POISON, -POISON], np.float32), length)


class PoisonedNetwork(Recognizer):
    """A recogniser whose network fails for the whole batch if one chunk is poisoned."""

    @classmethod
    def of(cls, recognizer: Recognizer) -> PoisonedNetwork:
        poisoned = object.__new__(cls)
        vars(poisoned).update(vars(recognizer))
        return poisoned

    def step_batch(
        self, states: Sequence[RecognizerState], samples: Sequence[Samples]
    ) -> list[tuple[RecognizerState, StepOutput]]:
        if any(len(chunk) and np.abs(chunk).min() > POISON / 2 for chunk in samples):
            raise FailingStream.error
        return super().step_batch(states, samples)


@pytest.fixture(scope="module")
def network(recognizer: Recognizer) -> Recognizer:
    return PoisonedNetwork.of(recognizer)


@pytest.fixture(scope="module")
def sound(speech: Samples) -> Samples:
    """An utterance that ends, and the start of another."""
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    return np.concatenate([speech[: 3 * SAMPLE_RATE], silence, speech[: 2 * SAMPLE_RATE]])


@pytest.fixture(scope="module")
def alone(recognizer: Recognizer, sound: Samples) -> list[Event]:
    stream = Stream(recognizer)
    events = [*stream.push(sound), stream.finish()]
    assert sum(isinstance(event, Final) and bool(event.words) for event in events) == 2
    return events


def failing(network: Recognizer, place: str, error: Exception | None = None) -> FailingStream:
    stream = FailingStream(network)
    stream.place = place
    stream.error = error or Injected("here")
    return stream


def cuts_of(stream: Stream, sound: Samples) -> list[Samples]:
    """Its audio in two pieces; the second is poison if the network is to fail."""
    first, second = np.split(sound, [3 * SAMPLE_RATE + 777])
    if isinstance(stream, FailingStream) and stream.place == "network":
        second = poison(len(second))
    return [first, second]


def answers_of(
    scheduler: StreamScheduler, streams: Sequence[Stream], sound: Samples
) -> list[list[Event] | BaseException]:
    """The events of each, or the exception of its future; waits at most a minute for each."""
    events: list[list[Event] | BaseException] = [[] for _ in streams]

    def add(answers: Sequence[Future[list[Event]] | None]) -> None:
        for number, answer in enumerate(answers):
            if answer is None:
                continue
            error = answer.exception(timeout=60)
            so_far = events[number]
            events[number] = error or [*so_far, *answer.result()]  # type: ignore[misc]

    for piece in range(2):
        add(
            [
                scheduler.push(stream, cuts_of(stream, sound)[piece])
                if isinstance(events[number], list)
                else None
                for number, stream in enumerate(streams)
            ]
        )
    add(
        [
            scheduler.finish(stream) if isinstance(events[number], list) else None
            for number, stream in enumerate(streams)
        ]
    )
    return events


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", PLACES)
def test_a_stream_that_fails_in_the_scheduler_affects_no_other(
    network: Recognizer, sound: Samples, alone: list[Event], place: str, workers: int
) -> None:
    scheduler = StreamScheduler(workers)
    threads = [
        thread for thread in threading.enumerate() if thread.name.startswith("stream-worker-")
    ]
    try:
        streams = [Stream(network) for _ in range(BESIDE)]
        streams.insert(7, failing(network, place))
        events = answers_of(scheduler, streams, sound)
        assert isinstance(events.pop(7), Injected)
        assert events == [alone] * BESIDE
        assert all(thread.is_alive() for thread in threads)
        assert answers_of(scheduler, [Stream(network)], sound) == [alone], "a later stream"
    finally:
        scheduler.close()


@pytest.mark.parametrize("error", [StopIteration(), MemoryError(), KeyError("x"), RuntimeError()])
@pytest.mark.parametrize("place", ["accept", "network", "process", "work later", "finish_work"])
def test_every_kind_of_exception_stays_with_its_stream(
    network: Recognizer, sound: Samples, alone: list[Event], place: str, error: Exception
) -> None:
    scheduler = StreamScheduler(1)
    try:
        streams = [failing(network, place, error), Stream(network)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FailingStream, "error", error)
            broken, events = answers_of(scheduler, streams, sound)
        assert isinstance(broken, Exception) and events == alone
    finally:
        scheduler.close()


@pytest.mark.parametrize("place", [place for place in PLACES if "finish" not in place])
def test_a_stream_that_fails_in_a_batch_affects_no_other(
    network: Recognizer, sound: Samples, alone: list[Event], place: str
) -> None:
    if place == "has_work":
        pytest.skip("push_batch does not use it")
    streams = [Stream(network) for _ in range(4)]
    streams.insert(2, failing(network, place))
    events: list[list[Event]] = [[] for _ in streams]
    failed: list[Any] = []
    for piece in range(2):
        answers = push_batch(streams, [cuts_of(stream, sound)[piece] for stream in streams])
        for number, answer in enumerate(answers):
            if isinstance(answer, Exception):
                assert number == 2
                failed.append(answer)
            else:
                events[number] += answer
    assert failed and all(isinstance(error, Injected) for error in failed)
    for number in (0, 1, 3, 4):
        assert [*events[number], streams[number].finish()] == alone


def test_invalid_samples_leave_all_streams_unchanged(
    recognizer: Recognizer, sound: Samples, alone: list[Event]
) -> None:
    """A stream continues with valid samples after an AudioError."""
    good, bad = Stream(recognizer), Stream(recognizer)
    events = push_batch([good, bad], [sound, np.full(4000, np.nan, np.float32)])
    assert isinstance(events[1], AudioError) and events[0] == alone[:-1]
    (later,) = push_batch([bad], [sound])
    assert later == alone[:-1] and good.finish() == bad.finish() == alone[-1]


@pytest.mark.parametrize("place", [place for place in PLACES if place != "has_work"])
def test_a_recording_that_fails_is_reported_and_the_others_are_transcribed(
    recognizer: Recognizer,
    sound: Samples,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error has the utterances that had ended before it."""
    sound = np.concatenate([sound, np.zeros(2 * SAMPLE_RATE, np.float32)])
    stream = Stream(recognizer)
    alone = [*stream.push(sound), stream.finish()]
    network = PoisonedNetwork.of(recognizer)
    made: list[Stream] = []

    class SecondFails(FailingStream):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            made.append(self)

        @property
        def place(self) -> str:  # type: ignore[override]
            late = self.seconds_pushed > 4.9 or "finish" in place
            return place if len(made) > 1 and self is made[1] and late else ""

        def finish(self) -> Final:
            *_, final = self.finish_work()
            assert final
            return final

    monkeypatch.setattr("streaming.recordings.Stream", SecondFails)
    poisoned = sound.copy()
    if place == "network":
        poisoned[5 * SAMPLE_RATE :] = poison(len(poisoned) - 5 * SAMPLE_RATE)
    coming = [np.split(each, range(1920, len(each), 1920)) for each in (sound, poisoned, sound)]
    found = list(transcribe_batch(network, coming * 2))
    segments = [
        Segment(e.words, written=e.written) for e in alone if isinstance(e, Final) and e.words
    ]
    right = Transcript(tuple(segments), len(sound) / SAMPLE_RATE)
    broken = found.pop(1)
    assert isinstance(broken, Transcript) and broken.damage and "Injected" in broken.damage
    assert list(broken.segments) == segments[: 2 if "finish" in place else 1]
    if place == "network":
        again = found.pop(3)
        assert isinstance(again, Transcript) and again.damage
    assert found == [right] * len(found) and len(found) >= 4
