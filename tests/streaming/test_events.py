"""`Partial` and `Final` are siblings: exactly one of the two types matches an event."""

from __future__ import annotations

import typing
from dataclasses import replace

import numpy as np
import pytest

import streaming
from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from asr.transcript import Word
from streaming import Event, Final, Partial, Stream

WORDS = (Word("turn", 0.1, 0.4, 0.9), Word("left", 0.5, 0.8, 0.7))


def test_neither_is_the_other() -> None:
    partial, final = Partial(WORDS), Final(WORDS)
    assert not isinstance(final, Partial) and not isinstance(partial, Final)
    assert isinstance(partial, Event) and isinstance(final, Event)
    assert typing.get_args(Event) == (Partial, Final)
    assert partial != final and partial.text == final.text == "turn left"


def test_words_are_replaced_and_the_type_stays() -> None:
    for event in (Partial(WORDS), Final(WORDS, revised=True)):
        shorter = replace(event, words=WORDS[:1])
        assert type(shorter) is type(event) and shorter.text == "turn"
    assert replace(Final(WORDS, revised=True), words=()).revised


def test_a_partial_has_nothing_of_a_final() -> None:
    assert not hasattr(Partial(WORDS), "revised") and not hasattr(Partial(WORDS), "alternatives")


def test_a_stream_emits_both(recognizer: Recognizer, speech: Samples) -> None:
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    events = Stream(recognizer).push(np.concatenate([speech[: 3 * SAMPLE_RATE], silence]))
    partials = [event for event in events if isinstance(event, Partial)]
    finals = [event for event in events if isinstance(event, Final)]
    assert partials and len(finals) == 1 and len(partials) + len(finals) == len(events)


def test_other_names_of_the_package_are_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Heard'"):
        _ = streaming.Heard


@pytest.mark.parametrize(
    ("old", "use"),
    [
        ("seconds_pushed", lambda stream: stream.seconds_heard),
        ("finish_work", lambda stream: list(stream.finishing())),
        ("process", lambda stream: stream.hear(*stream.recognizer.step(*stream.next_chunk()))),
    ],
)
def test_names_of_release_0_1_work_with_a_warning(
    recognizer: Recognizer, old: str, use: typing.Callable[[Stream], object]
) -> None:
    with pytest.warns(DeprecationWarning, match=old):
        use(Stream(recognizer))
