"""Streams in step tell what each tells alone, whoever shares the batch."""

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
from streaming.scheduler import StreamScheduler, push_batch
from streaming.stream import Final, Partial, Stream

CHUNK_FRAMES = 32
VOICES = 5


@pytest.fixture(scope="module")
def voices(speech: Samples) -> list[Samples]:
    """Different parts of the recording, louder and softer, with a pause that ends an utterance."""
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    parts = [speech[at * SAMPLE_RATE :][: 2 * SAMPLE_RATE] for at in (0, 2, 3, 6, 7)]
    return [
        np.concatenate([part * gain, silence, part[: SAMPLE_RATE * (3 - k % 3) // 2]])
        for k, (part, gain) in enumerate(zip(parts, (1.0, 0.3, 2.0, 0.05, 0.7)))
    ]


@pytest.fixture(scope="module")
def alone(recognizer: Recognizer, voices: list[Samples]) -> list[list[Partial]]:
    """What each tells alone."""
    told = []
    for voice in voices:
        stream = Stream(recognizer)
        told.append([*stream.push(voice), stream.finish()])
    assert all(sum(isinstance(event, Final) for event in events) == 2 for events in told)
    return told


@pytest.fixture(scope="module", params=["onnx", "torch"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return load_engine(BUNDLED_MODEL, request.param, threads=1)


@settings(max_examples=6)
@given(
    order=st.permutations(range(VOICES)),
    started=st.lists(st.integers(0, 3), min_size=VOICES, max_size=VOICES),
    count=st.integers(1, VOICES),
)
def test_a_batch_has_the_bits_of_each_voice(
    engine: Engine, voices: list[Samples], order: list[int], started: list[int], count: int
) -> None:
    """Voices that have heard nothing, or up to three chunks, in one call."""
    states, frames, expected = [], [], []
    for voice in order[:count]:
        state, chunks = engine.initial_state(), log_mel(voices[voice])
        for chunk in range(started[voice]):
            state, _ = engine.step(state, chunks[chunk * CHUNK_FRAMES :][:CHUNK_FRAMES])
        states.append(state)
        frames.append(chunks[started[voice] * CHUNK_FRAMES :][:CHUNK_FRAMES])
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
def test_streams_in_step_tell_what_each_tells_alone(
    recognizer: Recognizer, voices: list[Samples], alone: list[list[Partial]], data: st.DataObject
) -> None:
    """Whatever the number of voices, their order, and the pieces in which their sound comes."""
    chosen = data.draw(st.permutations(range(VOICES)))[: data.draw(st.integers(1, VOICES))]
    rounds = data.draw(st.integers(1, 6))
    pieces = []
    for voice in chosen:
        points = st.lists(
            st.integers(0, len(voices[voice])), min_size=rounds - 1, max_size=rounds - 1
        )
        pieces.append(np.split(voices[voice], sorted(data.draw(points))))
    streams = [Stream(recognizer) for _ in chosen]
    told: list[list[Partial]] = [[] for _ in chosen]
    for pieces_now in zip(*pieces):
        for events, new in zip(told, push_batch(streams, pieces_now)):
            events += new
    for events, stream in zip(told, streams):
        events.append(stream.finish())
    assert told == [alone[voice] for voice in chosen]


def test_streams_on_threads_tell_what_each_tells_alone(
    recognizer: Recognizer, voices: list[Samples], alone: list[list[Partial]]
) -> None:
    worked: list[float] = []
    turns = StreamScheduler(2, worked.append)
    streams = [Stream(recognizer) for _ in voices]
    told: list[list[Partial]] = [[] for _ in voices]
    for start in range(0, max(map(len, voices)), 12_345):
        answers = [
            turns.push(stream, voice[start : start + 12_345])
            for stream, voice in zip(streams, voices)
        ]
        for events, answer in zip(told, answers):
            events += answer.result()
    for events, last in zip(told, [turns.finish(stream) for stream in streams]):
        events += last.result()
    turns.close()
    assert told == alone
    assert sum(worked) > 0


def test_who_sends_faster_than_it_speaks_does_not_keep_others_waiting(
    recognizer: Recognizer, voices: list[Samples]
) -> None:
    turns, answered = StreamScheduler(1), list[str]()
    hurried = turns.push(Stream(recognizer), np.concatenate(voices))
    hurried.add_done_callback(lambda _: answered.append("hurried"))
    for _ in range(3):
        live = turns.push(Stream(recognizer), voices[0][: SAMPLE_RATE // 2])
        live.add_done_callback(lambda _: answered.append("live"))
        live.result()
    wait([hurried])
    turns.close()
    assert answered == ["live"] * 3 + ["hurried"]


def test_a_voice_that_cannot_be_heard_harms_no_other(
    recognizer: Recognizer, voices: list[Samples], alone: list[list[Partial]]
) -> None:
    turns = StreamScheduler(1)
    streams = [Stream(recognizer) for _ in voices]
    broken = turns.push(Stream(recognizer), np.full(10_000, np.nan, np.float32))
    answers = [turns.push(stream, voice) for stream, voice in zip(streams, voices)]
    with pytest.raises(AudioError, match="no number"):
        broken.result()
    assert [answer.result() for answer in answers] == [events[:-1] for events in alone]
    turns.close()


def test_who_waits_when_it_closes_is_told(recognizer: Recognizer) -> None:
    turns = StreamScheduler(0)
    waiting = turns.push(Stream(recognizer), np.zeros(SAMPLE_RATE, np.float32))
    turns.close()
    for answer in (waiting, turns.finish(Stream(recognizer))):
        with pytest.raises(CancelledError):
            answer.result(timeout=5)


def test_closed_turns_leave_no_thread_that_a_process_could_end_within(
    recognizer: Recognizer, speech: Samples
) -> None:
    before = set(threading.enumerate())
    turns = StreamScheduler(2)
    waiting = [turns.push(Stream(recognizer), speech) for _ in range(3)]
    turns.close()
    assert set(threading.enumerate()) <= before
    for answer in waiting:  # heard, or told that nobody hears any more
        assert answer.done()
