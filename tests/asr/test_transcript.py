"""Transcripts; long recordings in pieces."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import asr.transcript
from asr.audio import SAMPLE_RATE
from asr.audio.pauses import cut_at_pauses
from asr.formats import to_srt
from asr.transcript import Segment, Transcript, Word


def test_the_old_place_of_a_format_works_with_a_warning() -> None:
    transcript = Transcript((Segment((Word("hello", 0.5, 1.9, 0.9),)),), 2.0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert asr.transcript.to_srt(transcript) == to_srt(transcript)
    assert "asr.formats" in str(told[0].message)
    with pytest.raises(AttributeError, match="no attribute 'to_film'"):
        asr.transcript.to_film  # noqa: B018


@given(st.lists(st.integers(1, 40 * SAMPLE_RATE), max_size=4), st.integers(0, 1000))
def test_pieces_are_the_recording_whatever_the_blocks(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    sound = random.standard_normal(sum(lengths)).astype(np.float32)
    blocks = np.split(sound, np.cumsum(lengths)[:-1]) if lengths else []
    pieces = list(cut_at_pauses(blocks))
    assert [starts for starts, _ in pieces] == [
        sum(len(piece) for _, piece in pieces[:n]) for n in range(len(pieces))
    ]
    joined = np.concatenate([piece for _, piece in pieces]) if pieces else sound
    np.testing.assert_array_equal(joined, sound)
    assert all(len(piece) <= 28 * SAMPLE_RATE for _, piece in pieces)
    whole = [starts for starts, _ in cut_at_pauses([sound])] if lengths else []
    assert [starts for starts, _ in pieces] == whole


def test_the_cut_is_in_the_pause() -> None:
    sound = np.random.default_rng(0).standard_normal(40 * SAMPLE_RATE).astype(np.float32)
    sound[20 * SAMPLE_RATE : 21 * SAMPLE_RATE] = 0
    (_, first), (second_starts, _) = cut_at_pauses([sound])
    assert 20 * SAMPLE_RATE < second_starts == len(first) < 21 * SAMPLE_RATE
