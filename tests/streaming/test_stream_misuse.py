"""Invalid calls of a stream: bad samples, calls after the end, two threads at once."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from asr.audio import Samples
from asr.errors import AudioError, ConfigError
from asr.recognizer import Recognizer
from streaming.stream import Stream
from tests.streaming.test_stream import finals


def test_bad_samples_leave_the_stream_as_it_was(recognizer: Recognizer, speech: Samples) -> None:
    stream, untouched = Stream(recognizer), Stream(recognizer)
    half = len(speech) // 2
    stream.push(speech[:half])
    with pytest.raises(AudioError, match="no number"):
        stream.push(np.array([0.0, np.nan], np.float32))
    assert finals(stream, [speech[half:]]) == finals(untouched, [speech])


def test_a_finished_stream_takes_no_more(recognizer: Recognizer) -> None:
    stream = Stream(recognizer)
    assert stream.finish().words == ()
    with pytest.raises(ConfigError, match="finished"):
        stream.push(np.zeros(10, np.float32))
    with pytest.raises(ConfigError, match="finished"):
        stream.finish()


def test_two_threads_in_one_stream_are_refused_and_change_nothing(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The second thread calls while the network processes the first one's chunk."""
    stream, alone = (Stream(recognizer, second_pass=False) for _ in range(2))
    started, continues = threading.Event(), threading.Event()
    step = recognizer.step

    def slow(*arguments: Any) -> Any:
        started.set()
        assert continues.wait(20)
        return step(*arguments)

    with patch.object(recognizer, "step", slow):
        first = threading.Thread(target=stream.push, args=(speech[:64_000],))
        first.start()
        assert started.wait(20)
        for use in (
            lambda: stream.push(speech[:800]),
            lambda: stream.accept(speech[:800]),
            stream.finish,
            stream.save,
        ):
            with pytest.raises(ConfigError, match="two threads at once"):
                use()
        continues.set()
        first.join()
    alone.push(speech[:64_000])
    assert stream.finish() == alone.finish()


def test_a_stream_can_move_between_threads(recognizer: Recognizer, speech: Samples) -> None:
    stream, alone = Stream(recognizer), Stream(recognizer)
    for start in range(0, 64_000, 8_000):
        thread = threading.Thread(target=stream.push, args=(speech[start : start + 8_000],))
        thread.start()
        thread.join()
    alone.push(speech[:64_000])
    assert stream.finish() == alone.finish()


def test_a_refused_piece_does_not_block_the_stream(recognizer: Recognizer) -> None:
    stream = Stream(recognizer)
    for _ in range(2):
        with pytest.raises(AudioError):
            stream.push(np.full(100, np.nan, np.float32))
    assert stream.push(np.zeros(100, np.float32)) == []
