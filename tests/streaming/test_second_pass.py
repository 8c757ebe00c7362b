"""The second pass begins within the silence that ends an utterance, and nobody hears it."""

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
from streaming.scheduler import StreamScheduler
from streaming.stream import Final, Partial, Stream
from tests.conftest import cut, cut_points

SHORT_PAUSE_SECONDS = 1.0  # more than two thirds of the silence that ends an utterance, and not all
END_SECONDS = 2.0


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


@pytest.fixture(scope="module")
def sound(speech: Samples) -> Samples:
    """A sentence with a pause within it, one without, and one that the recording's end cuts."""
    first, second = speech[: 3 * SAMPLE_RATE], speech[3 * SAMPLE_RATE : 5 * SAMPLE_RATE]
    short, long = silence(SHORT_PAUSE_SECONDS), silence(END_SECONDS)
    return np.concatenate([first, short, second, long, first, long, second, short])


@pytest.fixture
def read(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames of all that is read again."""
    lengths: list[int] = []
    read_again = recognizer.engine.run_offline

    def counting(frames: np.ndarray) -> Emitted:
        lengths.append(len(frames))
        return read_again(frames)

    monkeypatch.setattr(recognizer.engine, "run_offline", counting)
    return lengths


@pytest.fixture(scope="module")
def expected(recognizer: Recognizer, sound: Samples) -> list[Partial]:
    stream = Stream(recognizer)
    return [*stream.push(sound), stream.finish()]


def finals(events: list[Partial]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def test_the_words_are_there_when_the_silence_is_over(
    recognizer: Recognizer, speech: Samples, read: list[int]
) -> None:
    stream = Stream(recognizer)
    told = stream.push(np.concatenate([speech[: 4 * SAMPLE_RATE], silence(SHORT_PAUSE_SECONDS)]))
    assert not finals(told)
    started = list(read)
    assert started, "the second pass waited for the end"
    (final,) = finals(stream.push(silence(END_SECONDS)))
    assert final.words and read == started, "all was done before"
    assert stream.finish().words == () and read == started, "silence is not read"


def test_what_is_said_after_a_pause_is_read_with_what_came_before(
    recognizer: Recognizer, speech: Samples, read: list[int]
) -> None:
    first, second = speech[: 3 * SAMPLE_RATE], speech[3 * SAMPLE_RATE : 5 * SAMPLE_RATE]
    stream = Stream(recognizer)
    stream.push(np.concatenate([first, silence(SHORT_PAUSE_SECONDS)]))
    in_vain = len(read)
    assert in_vain
    (final,) = finals(stream.push(np.concatenate([second, silence(END_SECONDS)])))
    seconds = len(first) / SAMPLE_RATE + SHORT_PAUSE_SECONDS + len(second) / SAMPLE_RATE
    assert len(read) > in_vain and read[-1] / 100 >= seconds
    assert any(word.end < 3 for word in final.words)
    assert any(word.start > 3 + SHORT_PAUSE_SECONDS for word in final.words)


def test_without_a_second_pass_nothing_is_read(
    recognizer: Recognizer, sound: Samples, read: list[int]
) -> None:
    stream = Stream(recognizer, second_pass=False)
    told = [*stream.push(sound), stream.finish()]
    assert len([final for final in finals(told) if final.words]) == 3 and read == []


@settings(max_examples=8)
@given(st.data())
def test_any_cut_and_any_break_give_the_same_finals(
    recognizer: Recognizer, sound: Samples, expected: list[Partial], data: st.DataObject
) -> None:
    """A break: the stream is saved, and another goes on where it left."""
    points = data.draw(cut_points(len(sound), most=8))
    broken = data.draw(st.sets(st.integers(0, len(points)), max_size=4))
    stream, told = Stream(recognizer), list[Partial]()
    for number, piece in enumerate(cut(sound, points)):
        told += stream.push(piece)
        if number in broken:
            stream = Stream.restore(stream.save(), recognizer)
    told.append(stream.finish())
    assert told == expected, f"cut at {points}, broken after {broken}"


def test_a_reading_that_has_started_is_saved(
    recognizer: Recognizer, sound: Samples, expected: list[Partial], read: list[int]
) -> None:
    """Broken off between the second pass's begin and the end of its utterance."""
    place = round((3 + SHORT_PAUSE_SECONDS + 2 + SHORT_PAUSE_SECONDS) * SAMPLE_RATE)
    stream = Stream(recognizer)
    told = stream.push(sound[:place])
    started = read[-1]
    stream = Stream.restore(stream.save(), recognizer)
    told += stream.push(sound[place : place + SAMPLE_RATE])
    assert read[-1] == started, "the same is read, not more"
    told += stream.push(sound[place + SAMPLE_RATE :])
    assert [*told, stream.finish()] == expected


def test_a_saved_reading_that_makes_no_sense_is_told(recognizer: Recognizer) -> None:
    data = Stream(recognizer).save()
    assert data.count(b'\\"reading\\": null') == 1
    for nonsense in (b'\\"reading\\": 1234', b'\\"reading\\": [12]', b'\\"reading\\": "ab"'):
        damaged = data.replace(b'\\"reading\\": null', nonsense.ljust(17))
        with pytest.raises(ModelError, match="state of a stream"):
            Stream.restore(damaged, recognizer)


def test_voices_on_threads_tell_what_one_tells_alone(
    recognizer: Recognizer, sound: Samples, expected: list[Partial]
) -> None:
    turns = StreamScheduler(2)
    streams = [Stream(recognizer) for _ in range(3)]
    told: list[list[Partial]] = [[] for _ in streams]
    for start in range(0, len(sound), 4_321):
        answers = [turns.push(stream, sound[start : start + 4_321]) for stream in streams]
        for events, answer in zip(told, answers):
            events += answer.result()
    for events, last in zip(told, [turns.finish(stream) for stream in streams]):
        events += last.result()
    turns.close()
    assert told == [expected] * len(streams)


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
