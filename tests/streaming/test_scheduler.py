"""Streams in a batch emit what each emits alone, whichever streams share the batch."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.acoustic.loading import load_engine
from asr.acoustic.types import Engine
from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AudioError
from asr.features.log_mel import log_mel
from asr.model_folder import BUNDLED_MODEL
from asr.recognizer import Recognizer
from streaming.events import Event, Final
from streaming.scheduler import StreamScheduler, push_batch
from streaming.stream import Stream

CHUNK_FRAMES = 32
STREAMS = 5


@pytest.fixture(scope="module")
def sounds(speech: Samples) -> list[Samples]:
    """Different parts of the recording, louder and softer, with a pause that ends an utterance."""
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    parts = [speech[at * SAMPLE_RATE :][: 2 * SAMPLE_RATE] for at in (0, 2, 3, 6, 7)]
    return [
        np.concatenate([part * gain, silence, part[: SAMPLE_RATE * (3 - k % 3) // 2]])
        for k, (part, gain) in enumerate(zip(parts, (1.0, 0.3, 2.0, 0.05, 0.7)))
    ]


@pytest.fixture(scope="module")
def alone(recognizer: Recognizer, sounds: list[Samples]) -> list[list[Event]]:
    """The events of each alone."""
    events = []
    for sound in sounds:
        stream = Stream(recognizer)
        events.append([*stream.push(sound), stream.finish()])
    assert all(sum(isinstance(event, Final) for event in events) == 2 for events in events)
    return events


@pytest.fixture(scope="module", params=["int8", "torch"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return load_engine(BUNDLED_MODEL, request.param, threads=1)


@settings(max_examples=6)
@given(
    order=st.permutations(range(STREAMS)),
    started=st.lists(st.integers(0, 3), min_size=STREAMS, max_size=STREAMS),
    count=st.integers(1, STREAMS),
)
def test_a_batch_is_bit_identical_to_each_stream_alone(
    engine: Engine, sounds: list[Samples], order: list[int], started: list[int], count: int
) -> None:
    """New streams, and streams after up to three chunks, in one call."""
    states, frames, expected = [], [], []
    for sound in order[:count]:
        state, chunks = engine.initial_state(), log_mel(sounds[sound])
        for chunk in range(started[sound]):
            state, _ = engine.step(state, chunks[chunk * CHUNK_FRAMES :][:CHUNK_FRAMES])
        states.append(state)
        frames.append(chunks[started[sound] * CHUNK_FRAMES :][:CHUNK_FRAMES])
        expected.append(engine.step(state, frames[-1]))
    found = engine.step_batch(states, frames)
    for (state, emission), (its_state, its_emission) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(emission.phones, its_emission.phones)
        np.testing.assert_array_equal(emission.letters, its_emission.letters)
        np.testing.assert_array_equal(state.frames, its_state.frames)
        for block, its_block in zip(state.blocks, its_state.blocks, strict=True):
            for part, its_part in zip(block, its_block, strict=True):
                np.testing.assert_array_equal(part, its_part)


@settings(max_examples=5)
@given(data=st.data())
def test_streams_in_a_batch_emit_what_each_emits_alone(
    recognizer: Recognizer, sounds: list[Samples], alone: list[list[Event]], data: st.DataObject
) -> None:
    """For every number and order of streams, and every way of cutting their audio."""
    chosen = data.draw(st.permutations(range(STREAMS)))[: data.draw(st.integers(1, STREAMS))]
    rounds = data.draw(st.integers(1, 6))
    pieces = []
    for sound in chosen:
        points = st.lists(
            st.integers(0, len(sounds[sound])), min_size=rounds - 1, max_size=rounds - 1
        )
        pieces.append(np.split(sounds[sound], sorted(data.draw(points))))
    streams = [Stream(recognizer) for _ in chosen]
    events: list[list[Event]] = [[] for _ in chosen]
    for pieces_now in zip(*pieces):
        for own_events, new in zip(events, push_batch(streams, pieces_now)):
            own_events += new
    for own_events, stream in zip(events, streams):
        own_events.append(stream.finish())
    assert events == [alone[sound] for sound in chosen]


def test_streams_on_threads_emit_what_each_emits_alone(
    recognizer: Recognizer, sounds: list[Samples], alone: list[list[Event]]
) -> None:
    worked: list[float] = []
    scheduler = StreamScheduler(2, worked.append)
    streams = [Stream(recognizer) for _ in sounds]
    events: list[list[Event]] = [[] for _ in sounds]
    for start in range(0, max(map(len, sounds)), 12_345):
        answers = [
            scheduler.push(stream, sound[start : start + 12_345])
            for stream, sound in zip(streams, sounds)
        ]
        for own_events, answer in zip(events, answers):
            own_events += answer.result()
    for own_events, last in zip(events, [scheduler.finish(stream) for stream in streams]):
        own_events += last.result()
    scheduler.close()
    assert events == alone
    assert sum(worked) > 0


def test_a_stream_faster_than_real_time_does_not_delay_others(
    recognizer: Recognizer, sounds: list[Samples]
) -> None:
    scheduler, answered = StreamScheduler(1), list[str]()
    hurried = scheduler.push(Stream(recognizer), np.concatenate(sounds))
    hurried.add_done_callback(lambda _: answered.append("hurried"))
    for _ in range(3):
        live = scheduler.push(Stream(recognizer), sounds[0][: SAMPLE_RATE // 2])
        live.add_done_callback(lambda _: answered.append("live"))
        live.result()
    wait([hurried])
    scheduler.close()
    assert answered == ["live"] * 3 + ["hurried"]


def test_invalid_samples_affect_no_other_stream(
    recognizer: Recognizer, sounds: list[Samples], alone: list[list[Event]]
) -> None:
    scheduler = StreamScheduler(1)
    streams = [Stream(recognizer) for _ in sounds]
    broken = scheduler.push(Stream(recognizer), np.full(10_000, np.nan, np.float32))
    answers = [scheduler.push(stream, sound) for stream, sound in zip(streams, sounds)]
    with pytest.raises(AudioError, match="no number"):
        broken.result()
    assert [answer.result() for answer in answers] == [events[:-1] for events in alone]
    scheduler.close()


def test_waiting_requests_end_when_it_closes(recognizer: Recognizer) -> None:
    scheduler = StreamScheduler(0)
    waiting = scheduler.push(Stream(recognizer), np.zeros(SAMPLE_RATE, np.float32))
    scheduler.close()
    for answer in (waiting, scheduler.finish(Stream(recognizer))):
        with pytest.raises(CancelledError):
            answer.result(timeout=5)


def test_a_closed_scheduler_leaves_no_thread(recognizer: Recognizer, speech: Samples) -> None:
    before = set(threading.enumerate())
    scheduler = StreamScheduler(2)
    waiting = [scheduler.push(Stream(recognizer), speech) for _ in range(3)]
    scheduler.close()
    assert set(threading.enumerate()) <= before
    for answer in waiting:  # with a result or CancelledError
        assert answer.done()
