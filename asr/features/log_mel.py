"""Log-mel features, of a whole recording or piece by piece.

A window of 25 ms is moved by 10 ms; each position gives one frame of 80 log energies on the mel
scale. Nothing looks at the whole recording: normalisation uses the mean and deviation of the
training data, which are stored in the model.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from asr.audio import SAMPLE_RATE, Samples

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
MEL_BANDS = 80
HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE
# Louder samples count as this loud. Sound has 1 at most, and asr.audio refuses what is louder than
# this; far louder frames would leave the range in which torch's LSTM gives numbers.
LOUDEST = np.float32(64)
# Of a band: below the rounding noise of 16-bit sound (3e-10) and below speech that is 60 dB down.
ENERGY_FLOOR = 1e-12


def log_mel(samples: Samples) -> np.ndarray:
    """Frames of a whole recording.

    Args:
        samples: float32 [samples], 16 kHz, in -1..1; any that are finite give finite frames.

    Returns:
        float32 [frames, 80]; frame n covers samples 160 n to 160 n + 400. Fewer than 400 samples
        give no frame.
    """
    if len(samples) < WINDOW_SAMPLES:
        return np.zeros((0, MEL_BANDS), np.float32)
    # A centred window would need samples from before the recording began.
    heard = np.clip(samples, -LOUDEST, LOUDEST)
    windows = np.lib.stride_tricks.sliding_window_view(heard, WINDOW_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(windows * _hann())
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)  # [frames, 201]
    frames: np.ndarray = np.log(np.maximum(power @ mel_filters(), ENERGY_FLOOR))
    return frames


def log_mel_step(carried: Samples, samples: Samples) -> tuple[Samples, np.ndarray]:
    """Frames of the next piece of a recording.

    Args:
        carried: float32 [carried samples], what the step before returned; empty at the start.
        samples: float32 [samples], the next piece, of any length.

    Returns:
        The samples to carry on (at most 399: those that the next frame begins with), and the
        frames that are complete, [frames, 80]. All frames of all pieces are those of `log_mel`.
    """
    samples = np.concatenate([carried, samples])
    frames = log_mel(samples)
    return samples[len(frames) * HOP_SAMPLES :].copy(), frames


def frame_count(samples: int) -> int:
    """How many frames a recording of so many samples has."""
    return 0 if samples < WINDOW_SAMPLES else 1 + (samples - WINDOW_SAMPLES) // HOP_SAMPLES


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """float32 [201 frequencies, 80 bands]: Slaney's mel scale, each filter of equal area.

    Made by `torchaudio.functional.melscale_fbanks(201, 0, 8000, 80, 16000, "slaney", "slaney")`
    and kept in a file, as openai/whisper keeps its own, so that recognition needs no torchaudio.
    """
    with np.load(Path(__file__).with_name("mel_filters.npz")) as file:
        return np.asarray(file["slaney_80"])


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    """float32 [400]: periodic, as for spectra."""
    phase = 2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
