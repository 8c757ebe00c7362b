"""Batches and augmentation keep what they must; the terms of the loss are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from asr.errors import ConfigError
from tests.training.synthetic import write_synthetic_cache
from training.configs.training import AugmentationConfig, BatchConfig
from training.data.batches import SILENCE, Batches, augment, stretch, warp_bands
from training.data.feature_cache import FeatureCache
from training.model import objectives


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return write_synthetic_cache(tmp_path / "cache", utterances=40)


def make_batches(
    cache: FeatureCache,
    processes: int = 1,
    speaker_shares: dict[str, float] | None = None,
    **sizes: float,
) -> Batches:
    return Batches(
        cache,
        {"yes": [("Y", "EH", "S")]},
        None,
        BatchConfig(**sizes),  # type: ignore[arg-type]
        AugmentationConfig(),
        seed=1,
        processes=processes,
        speaker_shares=speaker_shares,
    )


def test_an_epoch_has_every_utterance_once_within_the_limits(cache: FeatureCache) -> None:
    batches = make_batches(cache, utterances=7, seconds=12)
    counts = cache.frame_counts()
    for epoch in (0, 1):
        order = batches.epoch(epoch)
        assert sorted(index for batch in order for index in batch) == list(range(len(cache)))
        for batch in order:
            assert len(batch) <= 7
            assert len(batch) == 1 or counts[batch].max() * len(batch) <= 1200
    assert batches.epoch(0) == batches.epoch(0) != batches.epoch(1)


def test_a_speakers_share_is_drawn_anew_each_epoch(cache: FeatureCache) -> None:
    batches = make_batches(cache, speaker_shares={"u": 0.5}, utterances=4)
    drawn = [{index for batch in batches.epoch(epoch) for index in batch} for epoch in range(12)]
    assert all(10 <= len(indices) <= 30 for indices in drawn)
    assert set.union(*drawn) == set(range(len(cache)))
    with pytest.raises(ConfigError, match="unknown"):
        make_batches(cache, speaker_shares={"unknown": 0.5})


def test_processes_take_batches_of_like_size(cache: FeatureCache) -> None:
    order = make_batches(cache, processes=2, utterances=2).epoch(0)
    counts = cache.frame_counts()
    for first, second in zip(order[::2], order[1::2]):
        assert abs(counts[first].mean() - counts[second].mean()) < 0.5 * counts.mean()


@pytest.mark.parametrize("processes", [3, 7, 16])
def test_with_many_processes_no_utterance_is_left_out(cache: FeatureCache, processes: int) -> None:
    order = make_batches(cache, processes=processes, utterances=4).epoch(0)
    assert len(order) % processes == 0
    assert sorted(index for batch in order for index in batch) == list(range(len(cache)))


def test_a_batch_is_the_same_each_time_it_is_drawn(cache: FeatureCache) -> None:
    batches = make_batches(cache)
    first, again, other = (batches.load([0, 1, 2], 0, number) for number in (5, 5, 6))
    torch.testing.assert_close(first.frames, again.frames)
    assert first.frames.shape != other.frames.shape or not torch.equal(first.frames, other.frames)


def test_a_word_without_pronunciation_leaves_letters(cache: FeatureCache) -> None:
    batch = make_batches(cache).load([0, 1], 0, 0)
    assert [bool(phones) for phones in batch.phones] == [True, False]
    assert all(batch.letters)


def test_masks_lie_within_the_true_length_and_silence_follows() -> None:
    frames = torch.randn(3, 300, 80) - 8
    lengths = torch.tensor([300, 200, 40])
    config = AugmentationConfig(time_masks_per_second=5)
    changed = augment(frames.clone(), lengths, config, np.random.default_rng(0))
    for row, length in enumerate(lengths):
        assert (changed[row, length:] == SILENCE).all()
    assert torch.isfinite(changed).all() and changed.min() >= SILENCE
    assert not torch.equal(changed, frames)


def test_stretch_and_warp_keep_shape_and_ends() -> None:
    ramp = torch.arange(100.0)[:, None].expand(100, 80)
    assert stretch(ramp, 50).shape == (50, 80)
    assert stretch(ramp, 50)[10, 0] == pytest.approx(20.5)
    bands = torch.arange(80.0).expand(10, 80)
    assert warp_bands(bands, 1.1)[0, 20] == pytest.approx(22)
    torch.testing.assert_close(warp_bands(bands, 1.0), bands)


def test_two_views_are_the_same_utterances_changed_in_two_ways(cache: FeatureCache) -> None:
    batches = Batches(cache, {}, None, BatchConfig(utterances=4), AugmentationConfig(), 1, views=2)
    assert max(map(len, batches.epoch(0))) == 2
    batch = batches.load([3, 4], 0, 0)
    assert batch.indices == [3, 4, 3, 4] and batch.letters[:2] == batch.letters[2:]
    one, other = batch.frames.chunk(2)
    assert one.shape == other.shape and not torch.equal(one, other)
    assert batch.frame_lengths[:2].tolist() == batch.frame_lengths[2:].tolist()


def per_step(term: objectives.Term) -> torch.Tensor:
    return term.total / term.steps.clamp(min=1)


def test_ctc_is_torchs_per_step_and_skips_what_has_no_target() -> None:
    torch.manual_seed(0)
    scores = torch.randn(2, 10, 5).log_softmax(-1)
    lengths = torch.tensor([10, 8])
    expected = F.ctc_loss(
        scores[1:, :8].transpose(0, 1), torch.tensor([[1, 2]]), lengths[1:], torch.tensor([2]),
        reduction="sum",
    )  # fmt: skip
    torch.testing.assert_close(
        per_step(objectives.ctc(scores, lengths, [[], [1, 2]])), expected / 8
    )
    assert per_step(objectives.ctc(scores, lengths, [[], []])) == 0


def test_ctc_of_too_fast_speech_is_zero_not_infinite() -> None:
    scores = torch.randn(1, 3, 5).log_softmax(-1)
    assert per_step(objectives.ctc(scores, torch.tensor([3]), [[1, 1, 1, 1]])) == 0


@pytest.mark.parametrize("shift", [0, 2])
def test_the_model_lags_behind_the_teacher(shift: int) -> None:
    teacher = torch.eye(6)[None]  # step n emits token n
    target_steps = torch.tensor([6])
    model = torch.full((1, 8, 6), -20.0)
    for step in range(6):
        model[0, step + shift, step] = 0.0
    right = per_step(objectives.teacher_posteriors(model, teacher, target_steps, shift))
    wrong = per_step(objectives.teacher_posteriors(model, teacher, target_steps, shift + 1))
    assert right == pytest.approx(0) and wrong > 15
    components = objectives.teacher_components(model, teacher * 20 - 20, target_steps, shift)
    assert per_step(components) == pytest.approx(0) and components.steps == 6


def test_padding_does_not_count() -> None:
    teacher, model = torch.rand(2, 6, 4), torch.randn(2, 6, 4).log_softmax(-1)
    target_steps = torch.tensor([6, 3])
    before = per_step(objectives.teacher_posteriors(model, teacher, target_steps, 0))
    model[1, 3:] = -50
    after = per_step(objectives.teacher_posteriors(model, teacher, target_steps, 0))
    torch.testing.assert_close(after, before)


def test_consistency_is_the_mean_divergence_of_two_views() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 6, 5).log_softmax(-1).requires_grad_()
    lengths = torch.tensor([6, 3, 6, 3])
    term = objectives.consistency(scores, lengths)
    expected = 0.0
    for row, length in ((0, 6), (1, 3)):
        a, b = scores[row, :length].detach(), scores[row + 2, :length].detach()
        both = F.kl_div(a, b, log_target=True, reduction="sum") + F.kl_div(
            b, a, log_target=True, reduction="sum"
        )
        expected += float(both) / 2
    assert float(term.total) == pytest.approx(expected, rel=1e-5) and int(term.steps) == 9
    term.total.backward()
    assert scores.grad is not None
    assert scores.grad[1, 3:].abs().max() == 0  # padding
    same = torch.randn(2, 6, 5).log_softmax(-1).repeat(2, 1, 1)
    assert per_step(objectives.consistency(same, lengths)) == pytest.approx(0, abs=1e-6)
