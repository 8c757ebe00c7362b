"""The second pass starts within the silence that ends an utterance, and adds no delay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.types import Emitted
from asr.audio import SAMPLE_RATE, Samples
from asr.errors import ModelError
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules, second_pass_is_due
from streaming.events import Event, Final
from streaming.scheduler import StreamScheduler
from streaming.stream import Stream
from tests.conftest import cut, cut_points

SHORT_PAUSE_SECONDS = 1.0  # between two thirds and all of the silence that ends an utterance
END_SECONDS = 2.0


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


@pytest.fixture(scope="module")
def sound(speech: Samples) -> Samples:
    """A sentence with a pause in it, one without, and one that the end of the recording cuts."""
    first, second = speech[: 3 * SAMPLE_RATE], speech[3 * SAMPLE_RATE : 5 * SAMPLE_RATE]
    short, long = silence(SHORT_PAUSE_SECONDS), silence(END_SECONDS)
    return np.concatenate([first, short, second, long, first, long, second, short])


@pytest.fixture
def runs(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of frames of each run of the second pass."""
    lengths: list[int] = []
    read_again = recognizer.engine.run_offline

    def counting(frames: np.ndarray) -> Emitted:
        lengths.append(len(frames))
        return read_again(frames)

    monkeypatch.setattr(recognizer.engine, "run_offline", counting)
    return lengths


@pytest.fixture(scope="module")
def expected(recognizer: Recognizer, sound: Samples) -> list[Event]:
    stream = Stream(recognizer)
    return [*stream.push(sound), stream.finish()]


def finals(events: list[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def test_the_words_are_ready_at_the_endpoint(
    recognizer: Recognizer, speech: Samples, runs: list[int]
) -> None:
    stream = Stream(recognizer)
    events = stream.push(np.concatenate([speech[: 4 * SAMPLE_RATE], silence(SHORT_PAUSE_SECONDS)]))
    assert not finals(events)
    started = list(runs)
    assert started, "the second pass waited for the endpoint"
    (final,) = finals(stream.push(silence(END_SECONDS)))
    assert final.words and runs == started, "it ran again at the endpoint"
    assert stream.finish().words == () and runs == started, "it ran over silence"


def test_speech_after_a_short_pause_discards_the_run_and_a_new_one_has_all(
    recognizer: Recognizer, speech: Samples, runs: list[int]
) -> None:
    first, second = speech[: 3 * SAMPLE_RATE], speech[3 * SAMPLE_RATE : 5 * SAMPLE_RATE]
    stream = Stream(recognizer)
    stream.push(np.concatenate([first, silence(SHORT_PAUSE_SECONDS)]))
    discarded = len(runs)
    assert discarded
    (final,) = finals(stream.push(np.concatenate([second, silence(END_SECONDS)])))
    seconds = len(first) / SAMPLE_RATE + SHORT_PAUSE_SECONDS + len(second) / SAMPLE_RATE
    assert len(runs) > discarded and runs[-1] / 100 >= seconds
    assert any(word.end < 3 for word in final.words)
    assert any(word.start > 3 + SHORT_PAUSE_SECONDS for word in final.words)


def test_without_a_second_pass_there_is_no_run(
    recognizer: Recognizer, sound: Samples, runs: list[int]
) -> None:
    stream = Stream(recognizer, second_pass=False)
    events = [*stream.push(sound), stream.finish()]
    assert len([final for final in finals(events) if final.words]) == 3 and runs == []


@settings(max_examples=8)
@given(st.data())
def test_any_cut_and_any_break_give_the_same_finals(
    recognizer: Recognizer, sound: Samples, expected: list[Event], data: st.DataObject
) -> None:
    """A break: the stream is saved, and a restored one continues."""
    points = data.draw(cut_points(len(sound), most=8))
    broken = data.draw(st.sets(st.integers(0, len(points)), max_size=4))
    stream, events = Stream(recognizer), list[Event]()
    for number, piece in enumerate(cut(sound, points)):
        events += stream.push(piece)
        if number in broken:
            stream = Stream.restore(stream.save(), recognizer)
    events.append(stream.finish())
    assert events == expected, f"cut at {points}, broken after {broken}"


def test_a_run_that_has_started_is_saved(
    recognizer: Recognizer, sound: Samples, expected: list[Event], runs: list[int]
) -> None:
    """Saved between the start of the second pass and the end of its utterance."""
    place = round((3 + SHORT_PAUSE_SECONDS + 2 + SHORT_PAUSE_SECONDS) * SAMPLE_RATE)
    stream = Stream(recognizer)
    events = stream.push(sound[:place])
    started = runs[-1]
    stream = Stream.restore(stream.save(), recognizer)
    events += stream.push(sound[place : place + SAMPLE_RATE])
    assert runs[-1] == started, "the restored run has other frames"
    events += stream.push(sound[place + SAMPLE_RATE :])
    assert [*events, stream.finish()] == expected


def test_an_invalid_saved_run_is_reported(recognizer: Recognizer) -> None:
    data = Stream(recognizer).save()
    assert data.count(b'\\"reading\\": null') == 1
    for nonsense in (b'\\"reading\\": 1234', b'\\"reading\\": [12]', b'\\"reading\\": "ab"'):
        damaged = data.replace(b'\\"reading\\": null', nonsense.ljust(17))
        with pytest.raises(ModelError, match="state of a stream"):
            Stream.restore(damaged, recognizer)


def test_streams_on_threads_emit_what_one_emits_alone(
    recognizer: Recognizer, sound: Samples, expected: list[Event]
) -> None:
    scheduler = StreamScheduler(2)
    streams = [Stream(recognizer) for _ in range(3)]
    events: list[list[Event]] = [[] for _ in streams]
    for start in range(0, len(sound), 4_321):
        answers = [scheduler.push(stream, sound[start : start + 4_321]) for stream in streams]
        for own_events, answer in zip(events, answers):
            own_events += answer.result()
    for own_events, last in zip(events, [scheduler.finish(stream) for stream in streams]):
        own_events += last.result()
    scheduler.close()
    assert events == [expected] * len(streams)


@pytest.mark.parametrize(
    ("rules", "silence_seconds", "ahead_seconds", "due"),
    [
        (EndpointRules(), 0.56, 0.2, False),
        (EndpointRules(), 0.6, 0.2, True),
        (EndpointRules(), 0.76, 0.0, False),
        (EndpointRules(), 0.8, 0.0, True),
        (EndpointRules(silence_after_words=0.3), 0.16, 0.2, False),
        (EndpointRules(silence_after_words=0.3), 0.2, 0.2, True),
        (EndpointRules(silence_after_words=0.15), 0.08, 0.2, False),
        (EndpointRules(silence_after_words=0.15), 0.12, 0.2, True),
    ],
)
def test_when_the_second_pass_starts(
    rules: EndpointRules, silence_seconds: float, ahead_seconds: float, due: bool
) -> None:
    assert second_pass_is_due(rules, silence_seconds, ahead_seconds) == due
