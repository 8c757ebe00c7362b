"""Batches of utterances of similar length, with augmentation of their log-mel frames.

Everything random is drawn from a generator seeded by (seed, epoch, batch), so that a resumed run
gets the same batches as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asr.errors import ConfigError
from asr.features.log_mel import ENERGY_FLOOR, HOP_MS, MEL_BANDS
from asr.lexicon.lexicon import Lexicon
from training.configs.training import AugmentationConfig, BatchConfig
from training.data.conditions import in_condition, with_pause_before
from training.data.feature_cache import FeatureCache
from training.data.noise_bank import NoiseBank
from training.data.targets import target_ids
from training.data.teacher_targets import STEP_FRAMES, TeacherTargets, after_pause

SILENCE = math.log(ENERGY_FLOOR)


@dataclass
class Batch:
    """Utterances, padded at the end to one length."""

    indices: list[int]
    frames: Tensor  # [batch, frames, mels], augmented, not normalised
    frame_lengths: Tensor  # [batch]
    phones: list[list[int]]  # empty where a word has no pronunciation
    letters: list[list[int]]
    posteriors: Tensor | None  # [batch, steps, phones + letters], teacher targets
    components: Tensor | None  # [batch, steps, components], teacher targets
    step_lengths: Tensor  # [batch] steps that have teacher targets

    @property
    def seconds(self) -> float:
        """Seconds of speech in it."""
        return float(self.frame_lengths.sum()) * HOP_MS / 1000


class Batches:
    """The batches of one corpus, epoch by epoch."""

    def __init__(
        self,
        cache: FeatureCache,
        lexicon: Lexicon,
        teacher_targets: TeacherTargets | None,
        sizes: BatchConfig,
        augmentation: AugmentationConfig | None,
        seed: int,
        processes: int = 1,
        speaker_shares: Mapping[str, float] | None = None,
        views: int = 1,
        share: float = 1.0,
    ) -> None:
        """`share`: the part of the corpus that an epoch draws; `speaker_shares`: of one speaker.
        `views`: augmentations of each utterance in a batch: first all utterances in the first
        view, then all in the second; `sizes` counts each.

        Raises ConfigError when `speaker_shares` names a speaker who is not in the cache, when
        `augmentation` requests augmented copies that are not there."""
        if augmentation and augmentation.copy_share and not cache.copies:
            raise ConfigError(
                f"augmentation.copy_share: {cache.folder} has no augmented copies; "
                "rill prepare copies makes them"
            )
        self.processes, self.views = processes, views
        shares = speaker_shares or {}
        if missing := sorted(set(shares) - {utterance.speaker for utterance in cache.utterances}):
            raise ConfigError(f"speaker_shares: not in {cache.folder}: {', '.join(missing)}")
        self._shares = np.array([share * shares.get(u.speaker, 1.0) for u in cache.utterances])
        self.cache, self.teacher_targets = cache, teacher_targets
        self.sizes, self.augmentation, self.seed = sizes, augmentation, seed
        conditions = augmentation.conditions if augmentation else None
        self._noise = NoiseBank(conditions.noise) if conditions and conditions.noise else None
        self._targets = [target_ids(utterance.text, lexicon) for utterance in cache.utterances]
        self.without_phones = sum(not phones for phones, _ in self._targets)

    def phone_sequences(self) -> list[list[int]]:
        """The phones of each text of the corpus that has pronunciations."""
        return [phones for phones, _ in self._targets if phones]

    def epoch(self, number: int) -> list[list[int]]:
        """Lists of utterance numbers, one for each batch, in the order of this epoch."""
        random = np.random.default_rng((self.seed, number))
        counts = self.cache.frame_counts()
        # Lengths are jittered so that an utterance gets other neighbours in each epoch.
        order = np.argsort(counts * random.uniform(0.85, 1.15, len(counts)))
        order = order[random.random(len(counts))[order] < self._shares[order]]
        max_frames = self.sizes.seconds * 1000 / HOP_MS / self.views
        max_utterances = max(1, self.sizes.utterances // self.views)
        batches: list[list[int]] = [[]]
        longest = 0
        for index in order.tolist():
            longest = max(longest, int(counts[index]))
            full = len(batches[-1]) >= max_utterances
            if batches[-1] and (full or longest * (len(batches[-1]) + 1) > max_frames):
                batches.append([])
                longest = int(counts[index])
            batches[-1].append(index)
        # Processes that train together take neighbouring batches, so that none waits long for
        # another. The largest batches are halved until each process has as many.
        while len(batches) % self.processes:
            largest = max(range(len(batches)), key=lambda k: (len(batches[k]), k))
            half = len(batches[largest]) // 2
            if not half:
                break  # fewer utterances than processes
            batches[largest : largest + 1] = [batches[largest][:half], batches[largest][half:]]
        groups = len(batches) // self.processes
        order = random.permutation(groups)[:, None] * self.processes + np.arange(self.processes)
        return [batches[k] for k in order.flatten()]

    def load(self, indices: list[int], epoch: int, number: int) -> Batch:
        """One batch, augmented."""
        random = np.random.default_rng((self.seed, epoch, number))
        frames, posteriors, components = [], [], []
        for index in indices:
            one = torch.from_numpy(self._frames(index, random))
            targets = self.teacher_targets.utterance(index) if self.teacher_targets else None
            if targets:
                targets = after_pause(targets, -(-len(one) // STEP_FRAMES) - len(targets[0]))
            if self.augmentation:
                speed = random.uniform(*self.augmentation.speed)
                one = warp_bands(one, random.uniform(*self.augmentation.band_warp))
                one = stretch(one, len(one) / speed)
                if targets:
                    steps = -(-len(one) // STEP_FRAMES)
                    targets = (stretch(targets[0], steps), stretch(targets[1], steps))
            frames.append(one)
            if targets:
                posteriors.append(targets[0])
                components.append(targets[1])
        lengths = torch.tensor([len(one) for one in frames])
        padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True, padding_value=SILENCE)
        changes, views = self.augmentation, [padded] * self.views
        if changes:
            views = [augment(view, lengths, changes, random) for view in views]
        indices, lengths = indices * self.views, lengths.repeat(self.views)
        posteriors, components = posteriors * self.views, components * self.views
        tail = self.sizes.tail_frames
        return Batch(
            indices,
            F.pad(torch.cat(views), (0, 0, 0, tail), value=SILENCE),
            lengths + tail,
            [self._targets[index][0] for index in indices],
            [self._targets[index][1] for index in indices],
            _pad(posteriors),
            _pad(components),
            (lengths + STEP_FRAMES - 1) // STEP_FRAMES,
        )

    def _frames(self, index: int, random: np.random.Generator) -> np.ndarray:
        """Clean frames or an augmented copy, in a random condition."""
        if not self.augmentation:
            return self.cache.frames(index)
        if random.random() < self.augmentation.copy_share:
            frames = self.cache.copy_(index, int(random.integers(self.cache.copies)))
        else:
            frames = self.cache.frames(index)
        if random.random() < self.augmentation.pause_share:
            pause_ms = random.uniform(*self.augmentation.pause_ms)
            if self.teacher_targets:  # whole steps, so that targets move with their frames
                pause_ms -= pause_ms % (STEP_FRAMES * HOP_MS)
            frames = with_pause_before(frames, pause_ms, random)
        conditions = self.augmentation.conditions
        if conditions and random.random() >= self.augmentation.clean_share:
            frames = in_condition(frames, conditions, self._noise, self._other_speech, random)
        return frames

    def _other_speech(self, random: np.random.Generator) -> np.ndarray:
        return self.cache.frames(int(random.integers(len(self.cache))))


def stretch(rows: Tensor, length: float) -> Tensor:
    """Rows [n, width] resampled in time to round(length) rows, by linear interpolation."""
    length = max(1, round(length))
    if length == len(rows):
        return rows
    return F.interpolate(rows.T[None], size=length, mode="linear", align_corners=False)[0].T


def warp_bands(frames: Tensor, factor: float) -> Tensor:
    """Frames [frames, mels] with the mel axis stretched about its low end by a factor.

    A longer or shorter vocal tract (vocal tract length perturbation: Jaitly and Hinton 2013).
    """
    position = (torch.arange(MEL_BANDS) * factor).clamp(max=MEL_BANDS - 1)
    low = position.long().clamp(max=MEL_BANDS - 2)
    share = position - low
    return frames[:, low] * (1 - share) + frames[:, low + 1] * share


def augment(
    frames: Tensor, lengths: Tensor, config: AugmentationConfig, random: np.random.Generator
) -> Tensor:
    """Volume, microphone curve, noise and SpecAugment on frames [batch, frames, mels].

    Noise is added as energy (the log of the sum), which for independent sounds equals mixing
    samples. Masks lie within the true length.
    """
    batch = len(frames)
    loudness = random.uniform(-config.volume, config.volume, (batch, 1, 1))
    frames = frames + torch.tensor(loudness, dtype=frames.dtype)
    knots = torch.tensor(random.normal(0, config.microphone, (batch, 1, 8)), dtype=frames.dtype)
    curve = F.interpolate(knots, size=MEL_BANDS, mode="linear", align_corners=True)
    frames = frames + curve
    noisy = torch.tensor(random.random(batch) < config.noise_share)
    if noisy.any():
        frames = torch.where(
            noisy[:, None, None], _with_noise(frames, lengths, config, random), frames
        )
    frames = frames.clamp(min=SILENCE)
    fill = frames.mean(dim=(0, 1))
    frames = torch.where(_masks(lengths, frames.shape[1], config, random), fill, frames)
    padding = torch.arange(frames.shape[1]) >= lengths[:, None]
    return frames.masked_fill(padding[:, :, None], SILENCE)


def _masks(
    lengths: Tensor, frames: int, config: AugmentationConfig, random: np.random.Generator
) -> Tensor:
    """[batch, frames, mels] what SpecAugment (Park et al. 2019) masks: some bands in all frames,
    and all bands in some frames, more of them in a longer recording."""
    own_frames = lengths.numpy()[:, None]
    bands = _spans(
        np.full((len(own_frames), config.band_masks), config.band_mask_width), MEL_BANDS, random
    )
    max_frames = np.minimum(config.time_mask_frames, own_frames)
    counts = np.ceil(own_frames * HOP_MS / 1000 * config.time_masks_per_second)
    used = np.arange(int(counts.max())) < counts  # [batch, masks]
    times = _spans(np.where(used, max_frames, 0), own_frames, random)
    in_bands = _within(*bands, MEL_BANDS)
    in_times = _within(*times, frames)
    return in_bands[:, None, :] | in_times[:, :, None]


def _spans(
    max_widths: np.ndarray, length: int | np.ndarray, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Where spans start and end, [batch, spans] each: 0 to `max_widths` wide, within `length`."""
    widths = random.integers(0, max_widths + 1)
    first = random.integers(0, length - widths + 1)
    return torch.from_numpy(first), torch.from_numpy(first + widths)


def _within(first: Tensor, end: Tensor, size: int) -> Tensor:
    """[batch, size] true within any of a row's spans."""
    places = torch.arange(size)[:, None]
    return ((places >= first[:, None]) & (places < end[:, None])).any(-1)


def _with_noise(
    frames: Tensor, lengths: Tensor, config: AugmentationConfig, random: np.random.Generator
) -> Tensor:
    """Frames with noise of a random colour, or with another recording's speech in reverse."""
    batch, length, _ = frames.shape
    knots = torch.tensor(random.normal(0, 2.0, (batch, 1, 6)), dtype=frames.dtype)
    colour = F.interpolate(knots, size=MEL_BANDS, mode="linear", align_corners=True)
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    noise = colour + 0.6 * torch.randn(batch, length, MEL_BANDS, generator=generator)
    babble = frames.roll(1, 0).flip(1)
    is_babble = torch.tensor(random.random(batch) < config.babble_share)
    noise = torch.where(is_babble[:, None, None], babble, noise)
    decibels = torch.tensor(random.uniform(*config.noise_snr_db, batch), dtype=frames.dtype)
    # Loudness of speech: its louder frames, so that pauses do not count.
    speech = frames.exp().sum(-1).quantile(0.8, dim=1).log()
    level = noise.exp().sum(-1).mean(dim=1).log()
    gain = speech - level - decibels * (math.log(10) / 10)
    return torch.logaddexp(frames, noise + gain[:, None, None])


def _pad(rows: list[Tensor]) -> Tensor | None:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) if rows else None
