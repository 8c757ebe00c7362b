"""Samples far above full scale have finite frames and are recognised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.types import EngineName
from asr.errors import AudioError
from asr.features.log_mel import log_mel
from asr.recognizer import Recognizer
from streaming.stream import Stream
from tests.fuzzing import fuzzed, tell_seed


@fuzzed
@given(
    exponents=st.lists(st.integers(-45, 38), min_size=1, max_size=20),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_finite_sample_has_finite_frames(exponents: list[int], seed: int) -> None:
    tell_seed()
    random = np.random.default_rng(seed)
    samples = random.uniform(-3.4, 3.4, 2_000) * 10.0 ** random.choice(exponents, 2_000)
    frames = log_mel(samples.astype(np.float32))
    assert frames.shape == (11, 80) and np.isfinite(frames).all()


def test_the_largest_samples_have_finite_frames() -> None:
    loudest = np.full(1_600, np.finfo(np.float32).max)
    for samples in (loudest, -loudest, loudest * np.where(np.arange(1_600) % 2, 1, -1)):
        assert np.isfinite(log_mel(samples.astype(np.float32))).all()


@pytest.mark.parametrize("engine", ["int8", "torch"])
def test_samples_far_above_full_scale_are_recognised(engine: EngineName) -> None:
    """Float WAV files may hold numbers such as 1e25."""
    loud = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    recognizer = Recognizer.load(engine=engine, threads=1)
    for scale in (1e10, 1e25, 5e37):
        samples = loud * np.float32(scale)
        emission = recognizer.emission(samples, "offline")
        assert np.isfinite(emission.phones).all() and np.isfinite(emission.letters).all()
        stream = Stream(recognizer)
        for start in range(0, len(samples), 5_000):
            try:
                stream.push(samples[start : start + 5_000])
            except AudioError:
                break
        assert isinstance(stream.finish().text, str)
