"""Log-mel features, of a whole recording or piece by piece.

A window of 25 ms is moved by 10 ms; each position gives one frame of 80 log energies on the mel
scale. Nothing looks at the whole recording: normalisation uses the mean and deviation of the
training data, which are stored in the model.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from asr.audio import SAMPLE_RATE

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
MEL_BANDS = 80
HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE
ENERGY_FLOOR = 1e-8  # below the rounding noise of 16-bit sound, so that digital silence is a number


def log_mel(samples: Tensor) -> Tensor:
    """Frames of a whole recording.

    Args:
        samples: float32 [samples], 16 kHz, in -1..1.

    Returns:
        float32 [frames, 80]; frame n covers samples 160 n to 160 n + 400. Fewer than 400 samples
        give no frame.
    """
    if samples.shape[-1] < WINDOW_SAMPLES:
        return samples.new_zeros((0, MEL_BANDS))
    energies = _mel_spectrogram()(samples)  # [80, frames]
    return energies.clamp(min=ENERGY_FLOOR).log().T.contiguous()


def log_mel_step(carried: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Frames of the next piece of a recording.

    Args:
        carried: float32 [carried samples], what the step before returned; empty at the start.
        samples: float32 [samples], the next piece, of any length.

    Returns:
        The samples to carry on (at most 399: those that the next frame begins with), and the
        frames that are complete, [frames, 80]. All frames of all pieces are those of `log_mel`.
    """
    samples = torch.cat([carried, samples])
    frames = log_mel(samples)
    return samples[len(frames) * HOP_SAMPLES :].clone(), frames


def frame_count(samples: int) -> int:
    """How many frames a recording of so many samples has."""
    return 0 if samples < WINDOW_SAMPLES else 1 + (samples - WINDOW_SAMPLES) // HOP_SAMPLES


@lru_cache(maxsize=1)
def _mel_spectrogram() -> torch.nn.Module:
    from asr.library_checks import import_torchaudio

    torchaudio = import_torchaudio()
    return torchaudio.transforms.MelSpectrogram(
        sample_rate=SAMPLE_RATE,
        n_fft=WINDOW_SAMPLES,
        hop_length=HOP_SAMPLES,
        n_mels=MEL_BANDS,
        center=False,  # a centred window would need samples from before the recording began
        norm="slaney",
        mel_scale="slaney",
    )
