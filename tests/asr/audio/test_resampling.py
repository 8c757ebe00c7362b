"""Resampling: any rate and channel count, bit-identical for every cut, restored from its state."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Resampler, duration_seconds, read_audio
from asr.errors import AudioError
from asr.recognizer import Recognizer
from streaming.stream import Stream
from tests.asr.audio.sound_files import tone
from tests.conftest import cut, cut_points

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_become_16_khz_mono(
    tmp_path: Path, sample_rate: int, channels: int
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.tile(tone(sample_rate)[:, None], channels), sample_rate)
    samples = read_audio(path)
    assert abs(len(samples) - SAMPLE_RATE // 2) <= 1
    assert np.abs(samples[1000:7000] - tone(SAMPLE_RATE)[1000:7000]).max() < 1e-3
    assert duration_seconds(path) == pytest.approx(0.5, abs=1e-3)


@given(st.data())
def test_resampling_in_pieces_is_resampling_at_once(data: st.DataObject) -> None:
    sample_rate = data.draw(st.sampled_from(RATES))
    seed = data.draw(st.integers(0, 2**32 - 1))
    sound = np.random.default_rng(seed).standard_normal(sample_rate // 3).astype(np.float32)
    points = data.draw(cut_points(len(sound)))
    resampler = Resampler(sample_rate)
    pieces = [resampler.push(piece) for piece in cut(sound, points)] + [resampler.finish()]
    whole = soxr.resample(sound, sample_rate, SAMPLE_RATE)
    np.testing.assert_array_equal(np.concatenate(pieces), whole, err_msg=f"cut at {points}")


def test_resampling_one_sample_at_a_time() -> None:
    sound = tone(48_000, 0.05)
    resampler = Resampler(48_000)
    pieces = [resampler.push(sample[None]) for sample in sound] + [resampler.finish()]
    np.testing.assert_array_equal(np.concatenate(pieces), soxr.resample(sound, 48_000, SAMPLE_RATE))


@given(st.data())
def test_a_restored_resampler_goes_on(data: st.DataObject) -> None:
    sample_rate = data.draw(st.sampled_from(RATES))
    sound = np.random.default_rng(7).standard_normal(sample_rate).astype(np.float32)
    place = data.draw(st.integers(0, len(sound)))
    first = Resampler(sample_rate)
    before = first.push(sound[:place])
    second = Resampler.from_state(pickle.loads(pickle.dumps(first.state())))
    after = [second.push(sound[place:]), second.finish()]
    samples = np.concatenate([before, *after])
    np.testing.assert_allclose(samples, soxr.resample(sound, sample_rate, SAMPLE_RATE), atol=2e-6)


@pytest.mark.parametrize("sample_rate", [0, -16_000, 100, 10**9, 16_000.5, float("nan")])
def test_absurd_sample_rates_are_refused(sample_rate: float) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        Resampler(sample_rate)


@pytest.mark.parametrize("rate", [4001, 8000, 11025, 44_100, 48_000])
def test_a_resampler_goes_on_from_its_state_at_any_moment(rate: int) -> None:
    random = np.random.default_rng()
    sound = 0.1 * random.standard_normal(2 * rate).astype(np.float32)
    whole = Resampler(rate)
    expected = np.concatenate([whole.push(sound), whole.finish()])
    resampler, pieces, place = Resampler(rate), [], 0
    while place < len(sound):
        length = int(random.choice([1, 2, 960, rate // 10, rate]))
        pieces.append(resampler.push(sound[place : place + length]))
        place += length
        if random.random() < 0.3:
            resampler = Resampler.from_state(resampler.state())
    pieces.append(resampler.finish())
    np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-6)


def test_a_block_of_20_ms_is_not_copied_with_what_came_before_it() -> None:
    resampler, block = Resampler(48_000), np.zeros(960, np.float32)
    for _ in range(100):
        resampler.push(block)
    tracemalloc.start()
    try:
        for _ in range(50):
            resampler.push(block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000, "the last quarter second alone has 48,000 bytes, moved once in as long"


def test_what_a_caller_writes_into_a_block_later_does_not_change_the_state() -> None:
    resampler, block = Resampler(48_000), np.zeros(960, np.float32)
    resampler.push(block)
    block[:] = 1
    assert not resampler.state()["history"].any()


@pytest.mark.parametrize("sample_rate", ["16000", b"16000", None, True, [16_000]])
def test_a_sample_rate_that_is_no_number_is_an_error(
    recognizer: Recognizer, sample_rate: Any
) -> None:
    with pytest.raises(AudioError, match=r"sample rate of .*no number"):
        Stream(recognizer, sample_rate=sample_rate)
    if sample_rate is not None:  # which is the usual rate there
        with pytest.raises(AudioError, match=r"sample rate of .*no number"):
            recognizer.transcribe(np.zeros(1000, np.float32), sample_rate=sample_rate)
