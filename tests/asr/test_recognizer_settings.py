"""Settings that `Recognizer.load` and `Stream` are given in Python: out of bounds, or of no use."""

from __future__ import annotations

from typing import Any

import pytest

from asr import ConfigError, Recognizer
from asr.options import DecodingOptions
from streaming.stream import Stream


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"alternatives": -1}, "alternatives -1: expected a whole number, 0 to 100"),
        ({"alternatives": 1.5}, "alternatives 1.5: expected a whole number"),
        ({"alternatives": 10**9}, "alternatives 1000000000: expected"),
        ({"alternatives": True}, "alternatives True: expected"),
        ({"threads": 0}, "threads 0: expected a whole number, 1 to 1,024"),
        ({"threads": 10**9}, "threads 1000000000: expected"),
        ({"threads": "2"}, "threads '2': expected"),
        ({"threads": 1.5}, "threads 1.5: expected"),
        ({"lm": "x.bin"}, "lm: give language_model="),
        ({"beams": 5}, "there are .*'beam_tokens'"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_told(settings: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Recognizer.load(**settings)


def test_words_that_are_none_are_not_given(recognizer: Recognizer) -> None:
    assert Recognizer.load(words=None).decoder.words.phrases == {}  # type: ignore[attr-defined]
    assert DecodingOptions(words=None) == DecodingOptions()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"second_pass": "no"}, "second_pass 'no': expected True or False"),
        ({"second_pass": 0}, "second_pass 0: expected True or False"),
        ({"name": 5}, "name 5: expected a string"),
    ],
)
def test_a_stream_tells_a_setting_too(recognizer: Recognizer, settings: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Stream(recognizer, **settings)
