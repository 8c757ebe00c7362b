"""Augmented copies of the recordings of a cache, through other rooms, microphones, telephones and
codecs: `rill prepare copies`.

A copy has as many frames as its recording and is not delayed, so the teacher targets of the clean
recording (training/teacher/posteriors.py) hold for it too. Copies lie in the cache as
`variants.f16`, float16 [copies * frames, 80]; `augmentation.copy_share` is the fraction that
training takes instead of the clean frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from asr.audio import SAMPLE_RATE, Samples, read_audio
from asr.batch.finding import find_recordings
from asr.errors import AudioError, DataError
from asr.features.log_mel import log_mel
from training.data.copy_config import CopyConfig
from training.data.feature_cache import COPIES_FILE, FeatureCache

TELEPHONE_RATE = 8000
ROOMS = 64  # simulated ones in each process, without a folder of impulse responses
OTHER_RATES = (11025, 22050, 32000, 44100, 48000)


def write_copies(
    cache: FeatureCache,
    config: CopyConfig,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write `config.copies` augmented copies of every recording of a cache beside its frames.

    Returns:
        The number of recordings that cannot be read again; their copies are the clean frames.

    Raises:
        DataError: a folder of noise or of impulse responses without recordings; a recording whose
            length has changed.
    """
    for folder in (config.noise_folder, config.room_folder, config.babble_folder):
        if folder:
            _recordings(folder)
    jobs = [
        (str(utterance.audio), (config.seed, copy, index))
        for copy in range(config.copies)
        for index, utterance in enumerate(cache.utterances)
    ]
    temporary = cache.folder / (COPIES_FILE + ".part")
    unread = 0
    with ProcessPoolExecutor(workers) as pool, temporary.open("wb") as file:
        results = pool.map(_frames_of_copy, jobs, [config] * len(jobs), chunksize=16)
        for done, frames in enumerate(results, start=1):
            index = (done - 1) % len(cache)
            if frames is None:
                unread += 1
                frames = cache.frames(index).astype(np.float16)
            elif len(frames) != cache.frame_counts()[index]:
                raise DataError(
                    f"{cache.utterances[index].audio}: another length than when "
                    f"{cache.folder} was made; run rill prepare corpus again"
                )
            file.write(frames.tobytes())
            if progress:
                progress(done)
    os.replace(temporary, cache.folder / COPIES_FILE)
    return unread


def change_sound(samples: Samples, config: CopyConfig, random: np.random.Generator) -> Samples:
    """Apply a room, noise, clipping, resampling, and a codec or telephone to [samples] at 16 kHz,
    each with the probability that `config` gives it. The length stays, and nothing is delayed."""
    length = len(samples)
    if random.random() < config.room_share:
        samples = _in_a_room(samples, config, random)
    if config.noise_folder and random.random() < config.noise_share:
        samples = _with_noise(samples, config, random)
    if config.babble_folder and random.random() < config.babble_share:
        samples = _with_babble(samples, config, random)
    if random.random() < config.clip_share:
        ceiling = np.quantile(np.abs(samples), random.uniform(0.98, 0.999))
        samples = samples.clip(-ceiling, ceiling)
    if random.random() < config.resample_share:
        samples = _resampled_twice(samples, int(random.choice(OTHER_RATES)), random)
    if random.random() < config.telephone_share:
        samples = _telephone(samples, random)
    elif random.random() < config.codec_share:
        samples = _compressed(samples, str(random.choice(config.codecs)), random.uniform(0.3, 0.99))
    if random.random() < config.level_share:
        samples = samples * np.float32(10 ** (random.uniform(*config.level_db) / 20))
    return _to_length(samples, length)


def _frames_of_copy(job: tuple[str, Any], config: CopyConfig) -> np.ndarray | None:
    path, seed = job
    try:
        samples = read_audio(path)
    except AudioError:
        return None
    return log_mel(change_sound(samples, config, np.random.default_rng(seed))).astype(np.float16)


def _in_a_room(samples: Samples, config: CopyConfig, random: np.random.Generator) -> Samples:
    from lhotse.augmentation.utils import convolve1d
    from torch import from_numpy

    if config.room_folder:
        recordings = _recordings(config.room_folder)
        response = _sound(recordings[random.integers(len(recordings))])
    else:
        rooms = _simulated_rooms(config.reverberation_s)
        response = rooms[random.integers(len(rooms))]
    loudness = np.abs(samples).max()
    arrival = int(np.abs(response).argmax())  # the direct sound, so that nothing is delayed
    wet = convolve1d(from_numpy(samples), from_numpy(response)).numpy()[arrival:]
    return wet * np.float32(loudness / max(np.abs(wet).max(), 1e-9))


@lru_cache
def _simulated_rooms(reverberation_s: float) -> list[Samples]:
    """Simulated room impulse responses (Luo and Gu 2022, arXiv 2208.04101)."""
    import torch
    from lhotse.augmentation.utils import FastRandomRIRGenerator

    generator = FastRandomRIRGenerator(
        sr=SAMPLE_RATE, max_T60=reverberation_s, room_seed=1, source_seed=2
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)  # the generator draws from torch too, whatever its seeds
        return [generator(nsource=1)[0].astype(np.float32) for _ in range(ROOMS)]


def _with_noise(samples: Samples, config: CopyConfig, random: np.random.Generator) -> Samples:
    assert config.noise_folder
    recordings = _recordings(config.noise_folder)
    noise = _sound(recordings[random.integers(len(recordings))])
    start = int(random.integers(len(noise)))
    noise = np.resize(np.roll(noise, -start), len(samples))
    return _mixed(samples, noise, random.uniform(*config.noise_snr_db))


def _with_babble(samples: Samples, config: CopyConfig, random: np.random.Generator) -> Samples:
    """Add speech of other speakers, all at one level."""
    assert config.babble_folder
    recordings = _recordings(config.babble_folder)
    babble = np.zeros(len(samples), np.float32)
    for index in random.choice(len(recordings), config.babble_voices):
        speech = _sound(recordings[index])
        speech = np.resize(np.roll(speech, -int(random.integers(len(speech)))), len(samples))
        babble += speech / np.float32(max(np.sqrt(np.quantile(speech**2, 0.9)), 1e-6))
    return _mixed(samples, babble, random.uniform(*config.noise_snr_db))


def _mixed(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    # Relative to the louder parts of the speech, so that its pauses do not count.
    speech_power = np.quantile(samples**2, 0.9)
    gain = np.sqrt(speech_power / max(float((noise**2).mean()), 1e-12))
    return samples + noise * np.float32(gain * 10 ** (-snr_db / 20))


def _resampled_twice(samples: Samples, rate: int, random: np.random.Generator) -> Samples:
    """Resample to another rate and back at low quality, as sound servers do."""
    quality = str(random.choice(["QQ", "LQ", "MQ"]))
    there = soxr.resample(samples, SAMPLE_RATE, rate, quality)
    return soxr.resample(there, rate, SAMPLE_RATE, quality)


def _telephone(samples: Samples, random: np.random.Generator) -> Samples:
    """Telephone band, 300 to 3,400 Hz at 8 kHz, through GSM full rate or mu-law."""
    from lhotse.augmentation.torchaudio import MuLawCodec
    from torch import from_numpy

    narrow = soxr.resample(samples, SAMPLE_RATE, TELEPHONE_RATE)
    spectrum = np.fft.rfft(narrow)
    hertz = np.fft.rfftfreq(len(narrow), 1 / TELEPHONE_RATE)
    spectrum *= 1 / np.sqrt(1 + (300 / np.maximum(hertz, 1)) ** 8) * (hertz < 3400)
    narrow = np.fft.irfft(spectrum, len(narrow)).astype(np.float32).clip(-1, 1)
    if random.random() < 0.5:
        narrow = _compressed(narrow, "gsm", 0.0)
    else:
        narrow = MuLawCodec()(from_numpy(narrow[None])).numpy()[0]
    return soxr.resample(narrow, TELEPHONE_RATE, SAMPLE_RATE)


def _compressed(samples: Samples, codec: str, level: float) -> Samples:
    from lhotse.augmentation.compress import Compress

    return Compress(codec, level)(samples[None].clip(-1, 1), SAMPLE_RATE)[0].astype(np.float32)  # type: ignore[arg-type]


def _to_length(samples: Samples, length: int) -> Samples:
    return np.pad(samples, (0, max(0, length - len(samples))))[:length].astype(np.float32)


@lru_cache(maxsize=256)
def _sound(path: Path) -> Samples:
    return read_audio(path)


@lru_cache
def _recordings(folder: str) -> list[Path]:
    found = [Path(path) for path in find_recordings([folder])]
    if found == [Path(folder)]:
        raise DataError(f"{folder}: no recordings in it")
    return found
