"""Log-mel frames: equal to librosa's, and the same however the sound is cut."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Samples
from asr.features.log_mel import (
    ENERGY_FLOOR,
    HOP_SAMPLES,
    MEL_BANDS,
    WINDOW_SAMPLES,
    frame_count,
    log_mel,
    log_mel_step,
    mel_filters,
)
from tests.conftest import cut, cut_points

LIBROSA_TOLERANCE = 1e-3  # nats; float32 against librosa's own window and filters


def test_equal_to_librosa(speech: Samples) -> None:
    energies = librosa.feature.melspectrogram(
        y=speech,
        sr=SAMPLE_RATE,
        n_fft=WINDOW_SAMPLES,
        hop_length=HOP_SAMPLES,
        n_mels=MEL_BANDS,
        center=False,
    )
    expected = np.log(np.maximum(energies, ENERGY_FLOOR)).T
    frames = log_mel(speech)
    assert frames.shape == expected.shape == (frame_count(len(speech)), MEL_BANDS)
    assert np.abs(frames - expected).max() < LIBROSA_TOLERANCE


@given(st.data())
def test_frames_in_pieces_are_frames_at_once(data: st.DataObject) -> None:
    length = data.draw(st.integers(0, 6000))
    seed = data.draw(st.integers(0, 2**32 - 1))
    sound = (np.random.default_rng(seed).standard_normal(length) * 0.1).astype(np.float32)
    points = data.draw(cut_points(length))
    carried, frames = np.zeros(0, np.float32), []
    for piece in cut(sound, points):
        carried, new = log_mel_step(carried, piece)
        assert len(carried) < WINDOW_SAMPLES
        frames.append(new)
    whole = log_mel(sound)
    pieces = np.concatenate(frames)
    assert len(pieces) == len(whole) == frame_count(length)
    differing = np.flatnonzero(np.abs(pieces - whole).max(1, initial=0) > 1e-4)
    assert not len(differing), f"cut at {points}: frame {differing[0]} differs"


def test_digital_silence_is_the_floor() -> None:
    frames = log_mel(np.zeros(1600, np.float32))
    np.testing.assert_allclose(frames, np.log(ENERGY_FLOOR), rtol=1e-6)


def test_the_filters_are_torchaudios() -> None:
    torchaudio = pytest.importorskip("torchaudio", exc_type=(ImportError, OSError))
    made = torchaudio.functional.melscale_fbanks(
        WINDOW_SAMPLES // 2 + 1, 0, SAMPLE_RATE / 2, MEL_BANDS, SAMPLE_RATE, "slaney", "slaney"
    )
    np.testing.assert_allclose(mel_filters(), made.numpy(), atol=1e-7)
