"""Log-mel features of a whole recording or of a stream.

A 25 ms window moves by 10 ms; each position gives one frame of 80 log energies on the mel scale. No
statistic of the recording is used: frames are normalised with the mean and deviation of the
training data, which the model stores.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from asr.audio import SAMPLE_RATE, Samples
from asr.features._mel import log_energies

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
MEL_BANDS = 80
HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE
# Samples are clipped to this value. asr.audio rejects louder ones; the frames of far louder samples
# would make torch's LSTM return NaN.
MAX_SAMPLE = np.float32(64)
# Of a band: below the rounding noise of 16-bit samples (3e-10) and below speech at -60 dB.
ENERGY_FLOOR = 1e-12


def log_mel(samples: Samples) -> np.ndarray:
    """Frames of a whole recording.

    Args:
        samples: float32 [samples], 16 kHz, in -1..1; finite samples give finite frames.

    Returns:
        float32 [frames, 80]; frame n covers samples 160 n to 160 n + 400. Fewer than 400 samples
        give no frame.
    """
    if len(samples) < WINDOW_SAMPLES:
        return np.zeros((0, MEL_BANDS), np.float32)
    # A centred window would need samples from before the start of the recording.
    clipped = np.clip(samples, -MAX_SAMPLE, MAX_SAMPLE)
    windows = np.lib.stride_tricks.sliding_window_view(clipped, WINDOW_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(windows * _hann())
    real, imaginary = (
        np.ascontiguousarray(part, np.float32) for part in (spectrum.real, spectrum.imag)
    )
    frames: np.ndarray = log_energies(real, imaginary, *_bands(), ENERGY_FLOOR)
    return frames


def log_mel_step(carried: Samples, samples: Samples) -> tuple[Samples, np.ndarray]:
    """Frames of the next piece of a stream.

    Args:
        carried: float32 [carried samples] that the previous step returned; empty at the start.
        samples: float32 [samples], the next piece, of any length.

    Returns:
        The samples to carry (at most 399, the start of the next frame), and the complete frames
        [frames, 80]. The frames of all pieces together are those of `log_mel`.
    """
    samples = np.concatenate([carried, samples])
    frames = log_mel(samples)
    return samples[len(frames) * HOP_SAMPLES :].copy(), frames


def frame_count(samples: int) -> int:
    """Number of frames of a recording of `samples` samples."""
    return 0 if samples < WINDOW_SAMPLES else 1 + (samples - WINDOW_SAMPLES) // HOP_SAMPLES


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """float32 [201 frequencies, 80 bands]: Slaney's mel scale, each filter of equal area.

    The file holds `torchaudio.functional.melscale_fbanks(201, 0, 8000, 80, 16000, "slaney",
    "slaney")`, so that recognition does not need torchaudio.
    """
    with np.load(Path(__file__).with_name("mel_filters.npz")) as file:
        return np.asarray(file["slaney_80"])


@lru_cache(maxsize=1)
def _bands() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """float32 [80 bands, widest]: the weights of each band's frequencies; int32 [80] the first of
    them, and their number."""
    filters = mel_filters()
    used = [np.flatnonzero(band) for band in filters.T]
    starts = [frequencies[0] for frequencies in used]
    widths = [frequencies[-1] - frequencies[0] + 1 for frequencies in used]
    weights = np.zeros((len(used), max(widths)), np.float32)
    for band, (start, width) in enumerate(zip(starts, widths)):
        weights[band, :width] = filters[start : start + width, band]
    return weights, np.array(starts, np.int32), np.array(widths, np.int32)


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    """float32 [400]: the periodic Hann window."""
    phase = 2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
