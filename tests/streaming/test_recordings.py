"""Recordings in parallel: each has the words, times and confidences that it has alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import AudioError, RillError
from asr.recognizer import Recognizer
from asr.transcript import Segment, Transcript
from streaming import recordings
from streaming.events import Final
from streaming.recordings import transcribe_batch
from streaming.stream import Stream
from tests.conftest import cut, cut_points

COUNT = 5


@pytest.fixture(scope="module")
def sounds(speech: Samples) -> list[Samples]:
    """Parts of the recording, of one to seven seconds; one with a pause, one of silence."""
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    first, second = speech[: 4 * SAMPLE_RATE], speech[5 * SAMPLE_RATE :]
    return [
        np.concatenate([first[SAMPLE_RATE:], silence, second[: 2 * SAMPLE_RATE]]),
        first * 0.3,
        second[: 2 * SAMPLE_RATE + 77],
        silence,
        second * 2.0,
    ]


@pytest.fixture(scope="module", params=[True, False], ids=["two passes", "one pass"])
def second_pass(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module")
def alone(recognizer: Recognizer, sounds: list[Samples], second_pass: bool) -> list[Transcript]:
    """The transcript of each from a `Stream`."""
    transcripts = []
    for sound in sounds:
        stream = Stream(recognizer, second_pass=second_pass)
        events = [*stream.push(sound), stream.finish()]
        finals = [event for event in events if isinstance(event, Final) and event.words]
        segments = tuple(
            Segment(final.words, final.alternatives, final.written) for final in finals
        )
        transcripts.append(Transcript(segments, stream.seconds_pushed))
    assert [len(transcript.segments) for transcript in transcripts] == [2, 1, 1, 0, 1]
    return transcripts


def broken_after(blocks: list[Samples]) -> Iterator[Samples]:
    yield from blocks
    raise AudioError("damaged here")


@settings(max_examples=8)
@given(data=st.data())
def test_in_parallel_each_is_transcribed_as_alone(
    recognizer: Recognizer,
    sounds: list[Samples],
    alone: list[Transcript],
    second_pass: bool,
    data: st.DataObject,
) -> None:
    """For every order, number and cutting, and any of them damaged."""
    chosen = data.draw(st.lists(st.integers(0, COUNT - 1), max_size=7))
    damaged = data.draw(st.lists(st.booleans(), min_size=len(chosen), max_size=len(chosen)))
    coming = []
    for number, is_damaged in zip(chosen, damaged):
        pieces = cut(sounds[number], data.draw(cut_points(len(sounds[number]), most=6)))
        coming.append(broken_after(pieces) if is_damaged else iter(pieces))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings, "MAX_PARALLEL", data.draw(st.integers(1, 4)))
        patch.setattr(recordings, "MAX_WAITING", data.draw(st.integers(1, 4)))
        found = list(transcribe_batch(recognizer, iter(coming), second_pass=second_pass))
    for result, number, is_damaged in zip(found, chosen, damaged, strict=True):
        assert isinstance(result, Transcript) and (result.damage is not None) == is_damaged
        assert replace(result, damage=None) == alone[number]


@pytest.fixture
def without_collector() -> Iterator[None]:
    """The collector of reference cycles is off."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
def test_a_bounded_number_is_open_and_none_is_read_ahead(
    recognizer: Recognizer, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait for a long first recording, but only a bounded number of them. A stream that
    has ended is freed at once, without the garbage collector, because its beam is large."""
    monkeypatch.setattr(recordings, "MAX_PARALLEL", 3)
    monkeypatch.setattr(recordings, "MAX_WAITING", 4)
    started, done = list[int](), list[int]()
    alive = weakref.WeakSet[Stream]()

    class Counted(Stream):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            alive.add(self)

    monkeypatch.setattr(recordings, "Stream", Counted)
    blocks_of_first = 0

    def blocks(number: int) -> Iterator[Samples]:
        nonlocal blocks_of_first
        started.append(number)
        for start in range(0, (8 if number == 0 else 1) * SAMPLE_RATE, SAMPLE_RATE // 2):
            assert len(started) - len(done) <= 3 and len(alive) <= 4
            blocks_of_first += number == 0
            yield speech[start : start + SAMPLE_RATE // 2]
        done.append(number)

    results = transcribe_batch(recognizer, map(blocks, range(12)), second_pass=False)
    first = next(results)
    assert blocks_of_first == 16 and done[-1] == 0 and len(done) <= 1 + 4 + 2
    rest = list(results)
    assert sorted(done) == list(range(12)) and len(rest) == 11
    assert isinstance(first, Transcript) and first.duration == 8.0
    assert rest == [rest[0]] * 11 and not isinstance(rest[0], RillError)
