"""Conditions on frames do what they are named after, and no frame moves in time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from asr.audio import SAMPLE_RATE, Samples
from asr.cli.main import app
from asr.errors import DataError
from asr.features.log_mel import log_mel
from asr.text.alphabet import PHONE_TOKENS
from tests.training.synthetic import write_synthetic_cache
from training.configs.training import AugmentationConfig, BatchConfig, ConditionConfig
from training.data.batches import Batches
from training.data.conditions import (
    LOG_FLOOR,
    _centres,
    add_noise,
    at_level,
    in_condition,
    in_room,
    narrow_band,
    with_pause_before,
)
from training.data.noise_bank import NoiseBank, write_noise_bank
from training.data.teacher_targets import (
    COMPONENTS,
    POSTERIORS_WIDTH,
    TeacherTargets,
    step_offsets,
)

DB = math.log(10) / 10


@pytest.fixture(scope="module")
def frames(speech: Samples) -> np.ndarray:
    return log_mel(speech)


@pytest.fixture
def noise(tmp_path: Path) -> NoiseBank:
    random = np.random.default_rng(1)
    for name, seconds in (("fan", 2.0), ("street", 5.0)):
        sound = 0.1 * random.standard_normal(int(seconds * SAMPLE_RATE))
        soundfile.write(tmp_path / f"{name}.wav", sound, SAMPLE_RATE)
    soundfile.write(tmp_path / "click.wav", np.ones(600), SAMPLE_RATE)
    left_out = write_noise_bank([str(tmp_path)], tmp_path / "bank")
    assert [Path(place).name for place, _ in left_out] == ["click.wav"]
    return NoiseBank(tmp_path / "bank")


def test_a_room_adds_a_tail_that_falls_by_60_db_in_its_time() -> None:
    click = np.full((200, 80), -18.0)
    click[50] = 0
    wet = in_room(click, 0.6, np.random.default_rng(0))
    power = np.exp(wet).mean(1)
    assert np.argmax(power) == 50 and wet[50] == pytest.approx(0, abs=1e-3)
    assert wet[:50].max() < -15, "nothing before the click"
    decay = 10 * np.log10(power[55:65].mean() / power[85:95].mean())
    assert 25 < decay < 60, "30 dB in 0.3 s where the high bands are not shorter"


def test_noise_lies_so_many_decibels_below_the_louder_speech(frames: np.ndarray) -> None:
    flat = np.zeros_like(frames)
    added = np.exp(add_noise(frames, flat, 10.0)) - np.exp(frames)
    louder = np.quantile(np.exp(frames).sum(1), 0.8)
    assert 10 * np.log10(louder / added.sum(1).mean()) == pytest.approx(10, abs=0.01)


def test_a_narrow_band_takes_the_high_bands_away(frames: np.ndarray) -> None:
    for seed in range(20):
        changed = narrow_band(frames, np.random.default_rng(seed))
        middle = (_centres() > 500) & (_centres() < 3000)
        assert np.abs(changed - frames)[:, middle].mean() < np.abs(changed - frames)[:, -1].mean()
        assert (changed >= LOG_FLOOR).all()


def test_the_level_moves_every_band_alike_down_to_the_floor(frames: np.ndarray) -> None:
    for seed in range(10):
        changed = at_level(frames, -40, np.random.default_rng(seed))
        louder = frames > -6
        np.testing.assert_allclose(changed[louder], frames[louder] - 40 * DB, atol=0.01)
        assert changed.min() >= LOG_FLOOR


@pytest.mark.parametrize("share", ["room", "noise", "narrow_band", "level"])
def test_each_share_alone_changes_frames_and_keeps_their_number(
    share: str, frames: np.ndarray, noise: NoiseBank
) -> None:
    nothing = {f"{name}_share": 0.0 for name in ("room", "noise", "narrow_band", "level")}
    config = ConditionConfig(**{**nothing, f"{share}_share": 1.0})
    for seed in range(8):
        random = np.random.default_rng(seed)
        changed = in_condition(frames, config, noise, lambda _: frames[:300], random)
        assert changed.shape == frames.shape and changed.dtype == np.float32
        assert np.isfinite(changed).all() and np.abs(changed - frames).max() > 0.1
    random = np.random.default_rng(0)
    same = in_condition(frames, ConditionConfig(**nothing), noise, lambda _: frames, random)
    np.testing.assert_array_equal(same, frames)


def test_an_utterance_meets_another_condition_each_time_and_the_same_after_a_resume(
    tmp_path: Path, noise: NoiseBank
) -> None:
    cache = write_synthetic_cache(tmp_path / "cache")
    augmentation = AugmentationConfig(
        conditions=ConditionConfig(noise=str(tmp_path / "bank")), clean_share=0.0
    )
    lexicon = {"yes": [("Y", "EH", "S")]}
    batches, again = (
        Batches(cache, lexicon, None, BatchConfig(), augmentation, seed=1) for _ in range(2)
    )
    first, second = batches.load([0, 1], 0, 0), batches.load([0, 1], 1, 0)
    resumed = again.load([0, 1], 1, 0)
    assert second.frames.equal(resumed.frames)
    assert first.frames.shape != second.frames.shape or not first.frames.equal(second.frames)


def test_pieces_of_noise_come_from_its_recordings_and_wrap_round(noise: NoiseBank) -> None:
    random = np.random.default_rng(0)
    assert len(noise) == 2 and noise.seconds == pytest.approx(6.95, abs=0.1)
    for length in (5, 150, 1200):
        piece = noise.piece(length, random)
        assert piece.shape == (length, 80)
        assert -8 < piece.mean() < -2


def test_a_folder_without_noise_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rill prepare noise"):
        NoiseBank(tmp_path)
    (tmp_path / "empty").mkdir()
    run = CliRunner().invoke(app, ["prepare", "noise", str(tmp_path / "empty"), str(tmp_path)])
    assert isinstance(run.exception, DataError)


def test_a_pause_comes_before_frames_that_do_not_change(frames: np.ndarray) -> None:
    kinds = set()
    for seed in range(20):
        longer = with_pause_before(frames, 300, np.random.default_rng(seed))
        np.testing.assert_array_equal(longer[30:], frames)
        pause, speech = longer[:30].mean(), frames.mean()
        assert pause < speech and np.isfinite(longer).all()
        kinds.add("silence" if pause < LOG_FLOOR + 0.1 else "rounding" if pause < -20 else "place")
    assert len(kinds) == 3
    assert len(with_pause_before(frames, 0, np.random.default_rng(0))) == len(frames)


def test_a_batch_starts_with_other_pauses(tmp_path: Path) -> None:
    cache = write_synthetic_cache(tmp_path / "cache", 4)
    sizes = BatchConfig(utterances=1, seconds=100)
    changes = AugmentationConfig(
        pause_share=1, pause_ms=(500, 500), speed=(1, 1), band_warp=(1, 1), clean_share=1
    )
    plain = Batches(cache, {}, None, sizes, None, 0).load([0], 0, 0)
    later = Batches(cache, {}, None, sizes, changes, 0).load([0], 0, 0)
    assert int(later.frame_lengths[0] - plain.frame_lengths[0]) == 50


def test_teacher_targets_move_with_the_speech_after_a_pause(tmp_path: Path) -> None:
    cache = write_synthetic_cache(tmp_path / "cache", 4)
    steps = int(step_offsets(cache)[-1])
    random = np.random.default_rng(0)
    random.random((steps, POSTERIORS_WIDTH)).astype(np.float16).tofile(
        cache.folder / "posteriors.f16"
    )
    random.random((steps, COMPONENTS)).astype(np.float16).tofile(cache.folder / "components.f16")
    changes = AugmentationConfig(
        pause_share=1, pause_ms=(530, 530), speed=(1, 1), band_warp=(1, 1), clean_share=1
    )
    sizes, targets = BatchConfig(utterances=1, seconds=100), TeacherTargets(cache)
    plain = Batches(cache, {}, targets, sizes, None, 0).load([1], 0, 0)
    later = Batches(cache, {}, targets, sizes, changes, 0).load([1], 0, 0)
    assert int(later.frame_lengths[0] - plain.frame_lengths[0]) == 52  # whole steps of 40 ms
    assert int(later.step_lengths[0] - plain.step_lengths[0]) == 13
    assert plain.posteriors is not None and later.posteriors is not None
    torch.testing.assert_close(later.posteriors[:, 13:], plain.posteriors)
    both_blanks = later.posteriors[0, :13, [0, len(PHONE_TOKENS)]]
    assert (both_blanks == 1).all() and float(later.posteriors[0, :13].sum()) == 26
    assert plain.components is not None and later.components is not None
    torch.testing.assert_close(later.components[:, 13:], plain.components)
