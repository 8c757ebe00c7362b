"""Log-mel frames: equal to librosa's, and the same however the sound is cut."""

from __future__ import annotations

import librosa
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Samples
from asr.features import (
    ENERGY_FLOOR,
    HOP_SAMPLES,
    MEL_BANDS,
    WINDOW_SAMPLES,
    frame_count,
    log_mel,
    log_mel_step,
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
    frames = log_mel(torch.from_numpy(speech)).numpy()
    assert frames.shape == expected.shape == (frame_count(len(speech)), MEL_BANDS)
    assert np.abs(frames - expected).max() < LIBROSA_TOLERANCE


@given(st.data())
def test_frames_in_pieces_are_frames_at_once(data: st.DataObject) -> None:
    length = data.draw(st.integers(0, 6000))
    seed = data.draw(st.integers(0, 2**32 - 1))
    sound = (np.random.default_rng(seed).standard_normal(length) * 0.1).astype(np.float32)
    points = data.draw(cut_points(length))
    carried, frames = torch.zeros(0), []
    for piece in cut(sound, points):
        carried, new = log_mel_step(carried, torch.from_numpy(piece))
        assert len(carried) < WINDOW_SAMPLES
        frames.append(new)
    whole = log_mel(torch.from_numpy(sound))
    differing = (torch.cat(frames) - whole).abs().amax(1) > 1e-4 if len(whole) else []
    first = int(differing.int().argmax()) if any(differing) else None
    assert first is None, f"cut at {points}: frame {first} differs"
    assert len(torch.cat(frames)) == frame_count(length)


def test_digital_silence_is_the_floor() -> None:
    frames = log_mel(torch.zeros(1600))
    assert torch.allclose(frames, torch.full_like(frames, float(np.log(ENERGY_FLOOR))))
