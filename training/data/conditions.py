"""Rooms, noise, babble, telephones and levels on log-mel frames, while training loads them.

An utterance gets another condition each time it is loaded. The computation works on the power
spectrum: powers of independent sounds add, and a room adds a decaying tail to each band. This
approximates what `training/data/augmented_copies.py` does to samples, at a hundredth of its cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.signal import fftconvolve

from asr.features.log_mel import ENERGY_FLOOR, HOP_MS, MEL_BANDS, mel_filters
from training.configs.training import ConditionConfig
from training.data.noise_bank import NoiseBank

LOG_FLOOR = math.log(ENERGY_FLOOR)
NEPERS_PER_DB = math.log(10) / 10  # of power
# 16-bit rounding noise gives a band about this power: 2^-30 / 12 per sample, times the window's
# energy, times the area of a mel filter.
ROUNDING_NOISE = 3e-10
LOUD_QUANTILE = 0.8  # the speech level is that of louder frames: pauses do not count

OtherSpeech = Callable[
    [np.random.Generator], np.ndarray
]  # frames [frames, 80] of another utterance


def in_condition(
    frames: np.ndarray,
    config: ConditionConfig,
    noise: NoiseBank | None,
    other_speech: OtherSpeech,
    random: np.random.Generator,
) -> np.ndarray:
    """Log-mel frames as if recorded in another room, through another microphone, at another level.

    Args:
        frames: float32 [frames, 80], natural logarithms of power.
        noise: recorded noise; without it noise has a random colour.
        other_speech: returns the frames of another utterance, for babble.

    Returns:
        float32 [frames, 80], as many as given and not delayed.
    """
    if random.random() < config.room_share:
        frames = in_room(frames, random.uniform(*config.reverberation_s), random)
    if random.random() < config.noise_share:
        if random.random() < config.babble_share:
            other = _babble(len(frames), int(random.integers(1, 8)), other_speech, random)
        elif noise and random.random() < config.recorded_share:
            other = noise.piece(len(frames), random)
        else:
            other = _coloured_noise(len(frames), random)
        frames = add_noise(frames, other, random.uniform(*config.noise_snr_db))
    if random.random() < config.narrow_band_share:
        frames = narrow_band(frames, random)
    if random.random() < config.level_share:
        frames = at_level(frames, random.uniform(*config.level_db), random)
    return frames.astype(np.float32)


def with_pause_before(
    frames: np.ndarray, pause_ms: float, random: np.random.Generator
) -> np.ndarray:
    """The frames after `pause_ms` of digital silence, of rounding noise or of noise like the
    quietest frames.

    Returns:
        [frames + pause, 80].
    """
    length = round(pause_ms / HOP_MS)
    kind = random.integers(3)
    if kind == 0:
        pause = np.full((length, MEL_BANDS), LOG_FLOOR)
    elif kind == 1:
        pause = math.log(ROUNDING_NOISE) + 0.6 * random.standard_normal((length, MEL_BANDS))
    else:
        quiet = frames.sum(1) <= np.quantile(frames.sum(1), 0.1)
        pause = frames[quiet].mean(0) + 0.6 * random.standard_normal((length, MEL_BANDS))
    return np.concatenate([np.maximum(pause, LOG_FLOOR), frames]).astype(np.float32)


def in_room(frames: np.ndarray, reverberation_s: float, random: np.random.Generator) -> np.ndarray:
    """The frames with a reverberant tail: power that falls by 60 dB in `reverberation_s`, faster in
    high bands, and is 5 dB above to 12 dB below the direct sound."""
    high_bands = random.uniform(0.4, 1.0)  # reverberation time of the highest band, relative
    seconds = reverberation_s * np.linspace(1, high_bands, MEL_BANDS)
    length = max(2, round(reverberation_s * 1000 / HOP_MS))
    delay = np.arange(length)[:, None] * (HOP_MS / 1000)
    tail = 10 ** (-6 * delay / seconds) * random.gamma(2.0, 0.5, (length, MEL_BANDS))
    tail[0] = 0
    reverberant = 10 ** (-random.uniform(-5, 12) / 10)
    response = tail * (reverberant / tail.sum(0).mean())
    response[0] = 1
    power = fftconvolve(np.exp(frames), response, axes=0)[: len(frames)]
    return np.log(np.maximum(power, ENERGY_FLOOR))


def add_noise(frames: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Frames with noise added, `snr_db` below the louder frames of the speech."""
    speech = _level(frames)
    level = np.log(np.exp(noise).sum(1).mean())
    return np.logaddexp(frames, noise + (speech - level - snr_db * NEPERS_PER_DB))


def narrow_band(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Frames through a telephone, a low sample rate or a codec that removes high bands."""
    low, high = 0.0, float(random.choice([3400, 3700, 4000, 5500, 7000]))
    if high <= 3700 and random.random() < 0.7:
        low = random.uniform(150, 350)
    octaves_below = np.log2(np.maximum(low, 1) / np.maximum(_centres(), 1)).clip(min=0)
    octaves_above = np.log2(_centres() / high).clip(min=0)
    slope = random.uniform(20, 200) * NEPERS_PER_DB  # of the filter, for each octave
    frames = frames - slope * (octaves_below + octaves_above)
    if random.random() < 0.5:  # coarse quantisation, as of mu-law: noise that follows the speech
        rounding = frames.max(1, keepdims=True) - random.uniform(30, 45) * NEPERS_PER_DB
        frames = np.where(_centres() < high, np.logaddexp(frames, rounding), frames)
    return np.maximum(frames, LOG_FLOOR)


def at_level(frames: np.ndarray, level_db: float, random: np.random.Generator) -> np.ndarray:
    """Frames louder or quieter, half of them with the rounding noise of 16 bits."""
    frames = frames + level_db * NEPERS_PER_DB
    if random.random() < 0.5:
        frames = np.logaddexp(frames, math.log(ROUNDING_NOISE))
    return np.maximum(frames, LOG_FLOOR)


def _level(frames: np.ndarray) -> float:
    return float(np.log(np.quantile(np.exp(frames).sum(1), LOUD_QUANTILE)))


def _babble(
    length: int, speakers: int, other_speech: OtherSpeech, random: np.random.Generator
) -> np.ndarray:
    """Speech of other speakers at similar levels, each from a random moment on."""
    total = np.full((length, MEL_BANDS), LOG_FLOOR)
    for _ in range(speakers):
        speech = other_speech(random)
        speech = np.resize(np.roll(speech, int(random.integers(len(speech))), axis=0), total.shape)
        total = np.logaddexp(total, speech - _level(speech) + random.normal(0, 1))
    return total


def _coloured_noise(length: int, random: np.random.Generator) -> np.ndarray:
    """Stationary noise whose spectrum is a random smooth curve (deviation 9 dB)."""
    knots = np.linspace(0, MEL_BANDS - 1, 6)
    colour = np.interp(np.arange(MEL_BANDS), knots, random.normal(0, 2.0, 6))
    # About the deviation of a noise band's log power from frame to frame.
    return colour + 0.6 * random.standard_normal((length, MEL_BANDS))


@lru_cache(maxsize=1)
def _centres() -> np.ndarray:
    """[80] the centre frequency of each mel band, in hertz."""
    filters = mel_filters()
    hertz = np.linspace(0, 8000, len(filters))
    return np.asarray(hertz @ filters / filters.sum(0))
