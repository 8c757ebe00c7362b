"""Synthetic noise and music without speech."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asr.audio import SAMPLE_RATE, Samples

Noise = Callable[[float, float], Samples]  # seconds, level in dB below full scale (RMS)


def silence(seconds: float, level_db: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def white(seconds: float, level_db: float) -> Samples:
    return at_level(np.random.default_rng(1).standard_normal(int(seconds * SAMPLE_RATE)), level_db)


def pink(seconds: float, level_db: float) -> Samples:
    """Its power falls by 3 dB an octave from 20 Hz on."""
    samples = int(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20.0)
    return at_level(np.fft.irfft(spectrum / np.sqrt(hertz), samples), level_db)


def mains_hum(seconds: float, level_db: float) -> Samples:
    """50 Hz and ten harmonics."""
    phase = 2 * np.pi * 50 * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return at_level(sum(np.sin(k * phase + k) / k for k in range(1, 12)), level_db)


def arpeggios(seconds: float, level_db: float) -> Samples:
    """Plucked notes, four a second."""
    return at_level(_notes(seconds, 0.25, together=1, sustained=False), level_db)


def quick_arpeggios(seconds: float, level_db: float) -> Samples:
    """Plucked notes, eight a second."""
    return at_level(_notes(seconds, 0.12, together=1, sustained=False), level_db)


def chords(seconds: float, level_db: float) -> Samples:
    """Four struck notes together, a chord a second."""
    return at_level(_notes(seconds, 1.0, together=4, sustained=False), level_db)


def organ(seconds: float, level_db: float) -> Samples:
    """Four notes together that stand for two seconds."""
    return at_level(_notes(seconds, 2.0, together=4, sustained=True), level_db)


def at_level(sound: np.ndarray, level_db: float) -> Samples:
    """The sound scaled to this RMS."""
    return (sound / np.sqrt(np.mean(sound**2)) * 10 ** (level_db / 20)).astype(np.float32)


def _notes(seconds: float, step: float, together: int, sustained: bool) -> np.ndarray:
    sound = np.zeros(int(seconds * SAMPLE_RATE))
    intervals, roots = (0, 4, 7, 12), (57, 60, 62, 65, 55)
    for number, start in enumerate(range(0, len(sound), int(step * SAMPLE_RATE))):
        length = min(int(1.5 * step * SAMPLE_RATE), len(sound) - start)
        t = np.arange(length) / SAMPLE_RATE
        envelope = np.minimum(t / 0.01, 1) * np.exp(-t / (0.7 * step))
        if sustained:
            envelope = np.minimum(t / 0.1, 1) * np.minimum(t[::-1] / 0.1, 1)
        for note in range(together):
            semitones = roots[number // 4 % 5] + intervals[(number + note) % 4] - 69
            phase = 2 * np.pi * 440 * 2 ** (semitones / 12) * t
            sound[start : start + length] += envelope * sum(
                np.sin(k * phase) / k**1.5 for k in range(1, 9)
            )
    return sound
