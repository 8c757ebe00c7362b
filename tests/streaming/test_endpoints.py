"""Endpoints: the rules, and where utterances end in real audio."""

from __future__ import annotations

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.recognizer import Recognizer
from streaming.endpointing import EndpointRules, endpoint
from streaming.events import Final
from streaming.stream import Stream
from tests.streaming.test_stream import finals


def test_a_pause_ends_an_utterance(recognizer: Recognizer, speech: Samples) -> None:
    silence = np.zeros(3 * SAMPLE_RATE, np.float32)
    sentence = speech[: 4 * SAMPLE_RATE]
    found = finals(Stream(recognizer), [sentence, silence, sentence, silence])
    assert len(found) >= 2
    second = [word for final in found for word in final.words if word.start > 6.5]
    first = [word for final in found for word in final.words if word.start < 4.5]
    assert len(first) >= 4
    assert abs(len(second) - len(first)) <= 2
    # The silence between is two utterances, and the last one starts 80 ms before its first word.
    before, after = ({word.word for word in words} for words in (first, second))
    assert len(before & after) >= 0.8 * len(before)


@pytest.mark.parametrize(
    ("utterance", "silence", "has_words", "decision"),
    [
        (5.0, 1.1, True, "none"),
        (5.0, 1.2, True, "pause"),
        (5.0, 1.2, False, "none"),
        (5.0, 2.4, False, "pause"),
        (20.0, 0.2, True, "pause"),
        (20.0, 0.1, True, "none"),
        (30.0, 0.0, True, "forced"),
    ],
)
def test_endpoint_rules(utterance: float, silence: float, has_words: bool, decision: str) -> None:
    assert endpoint(EndpointRules(), utterance, silence, has_words) == decision


@pytest.mark.parametrize(
    ("silence", "has_words", "decision"),
    [(0.96, True, "none"), (1.0, True, "pause"), (2.16, False, "none"), (2.2, False, "pause")],
)
def test_audio_that_waits_for_look_ahead_counts_as_silence(
    silence: float, has_words: bool, decision: str
) -> None:
    assert endpoint(EndpointRules(), 5.0, silence, has_words, ahead_seconds=0.2) == decision


def test_a_short_pause_does_not_count_look_ahead() -> None:
    assert endpoint(EndpointRules(), 25.0, 0.16, True, ahead_seconds=0.2) == "none"
    assert endpoint(EndpointRules(), 25.0, 0.2, True, ahead_seconds=0.2) == "pause"
    quick = EndpointRules(silence_after_words=0.3)
    assert endpoint(quick, 5.0, 0.16, True, ahead_seconds=0.2) == "none"


def test_an_utterance_ends_when_its_silence_is_over(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The audio that is needed until the final, in stream time; computation is not counted."""
    stream = Stream(recognizer, rules=EndpointRules(silence_after_words=0.6))
    sound = np.concatenate([speech, np.zeros(2 * SAMPLE_RATE, np.float32)])
    for start in range(0, len(sound), 320):
        if finals := [e for e in stream.push(sound[start : start + 320]) if isinstance(e, Final)]:
            break
    late = stream.seconds_pushed - finals[0].words[-1].end - 0.6
    assert -0.1 <= late <= 0.2
