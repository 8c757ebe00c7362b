"""Checks the shape, type and scale of the samples that callers pass.

Floats are in -1..1 or overshoot by some dB; integers of 8, 16 and 32 bits use their whole range.
Samples of another scale would be silence or noise to the recogniser; the error names the divisor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asr.errors import AudioError

MAX_CHANNELS = 64
# Recordings overshoot 1 by some dB, never by 36 dB: a louder sample has another scale.
LOUDEST_SAMPLE = 64.0
_SCALES = {2.0**15: "16-bit", 2.0**23: "24-bit", 2.0**31: "32-bit"}


def as_channels(
    samples: Any, name: str = "sound", sample_rate: int = 16_000, samples_before: int = 0
) -> np.ndarray:
    """Checked samples as float32 [samples, channels], in -1..1 or a little more.

    Args:
        samples: [samples] or [samples, channels]; floats, or signed integers of 8, 16 or 32 bits.
        samples_before: number of earlier samples of the stream, for messages.

    Raises:
        AudioError: another shape or type, NaN or infinity, or a sample beyond `LOUDEST_SAMPLE`.
    """
    samples = _as_array(samples, name)
    _check_shape(samples.shape, name)
    kind, size = samples.dtype.kind, samples.dtype.itemsize
    if kind == "i" and size == 8 and samples.size:
        raise AudioError(
            f"{name}: integers of 64 bits, which have no usual scale; make int16 of them "
            "(.astype(np.int16)), or floats in -1..1"
        )
    if kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    elif kind != "f" and samples.size:
        raise AudioError(
            f"{name}: samples of type {samples.dtype}; give floats in -1..1 or signed integers"
        )
    channels = samples[:, None] if samples.ndim == 1 else samples
    peak = max(channels.max(), -channels.min()) if channels.size else 0.0
    if not peak <= LOUDEST_SAMPLE:  # nor is NaN
        _refuse(channels, name, sample_rate, samples_before)
    return np.ascontiguousarray(channels, dtype=np.float32)


class IntegerScale:
    """Checks the scale of a stream of int32 in its first second.

    16-bit samples stored as int32 without scaling are 96 dB too quiet to be recognised.
    """

    def __init__(self, sample_rate: int, name: str) -> None:
        self._name, self._left = name, sample_rate
        self._peak, self._fine = 0, False

    def check(self, samples: Any) -> None:
        """Check the next samples, as the caller passed them.

        Raises:
            AudioError: all samples of the first second fit into 16 bits.
        """
        samples = np.asarray(samples)
        if self._left <= 0:
            return
        if samples.dtype != np.int32:
            self._left = 0
            return
        first = samples[: self._left]
        self._left -= len(first)
        if first.size:
            self._peak = max(self._peak, int(first.max()), -int(first.min()))
            # 24-bit converters leave the lowest 8 bits free, and may be that quiet.
            self._fine = self._fine or bool((first & 255).any())
        if self._left <= 0 and self._fine and self._peak <= 2**15:
            raise AudioError(
                f"{self._name}: integers of 32 bits that never exceed {self._peak}: these look "
                "like 16-bit numbers; give them as int16 (.astype(np.int16))"
            )


def _as_array(samples: Any, name: str) -> np.ndarray:
    if samples is None or isinstance(samples, bytes | bytearray):
        what = "None is" if samples is None else "bytes are"
        raise AudioError(
            f"{name}: {what} neither a path nor samples; give a path, an open file "
            "(io.BytesIO(data)), or an array of samples (np.frombuffer)"
        )
    try:
        return np.asarray(samples)
    except (ValueError, TypeError):
        raise AudioError(
            f"{name}: rows of different lengths, or no numbers; give [samples] or "
            "[samples, channels]"
        ) from None


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] == 0):
        raise AudioError(
            f"{name}: samples of shape {list(shape)}; give [samples] or [samples, channels]"
        )
    if len(shape) == 2 and shape[1] > MAX_CHANNELS:
        raise AudioError(
            f"{name}: samples of shape {list(shape)} would be {shape[1]} channels; "
            "give [samples, channels], the transposed array (.T)"
        )


def _refuse(channels: np.ndarray, name: str, sample_rate: int, samples_before: int) -> None:
    finite = np.isfinite(channels)
    wrong = ~finite if not finite.all() else np.abs(channels) > LOUDEST_SAMPLE
    row, column = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    place = f"at {(samples_before + int(row)) / sample_rate:.3f} s"
    if not finite.all():
        raise AudioError(
            f"{name}: a sample that is no number (NaN or infinite) {place}. "
            "Export it again as 16-bit WAV"
        )
    peak = float(np.abs(channels).max())
    scale = next((scale for scale in _SCALES if peak <= scale), None)
    advice = (
        f"these look like {_SCALES[scale]} numbers: divide them by {scale:.0f}"
        if scale
        else "scale them to -1..1"
    )
    raise AudioError(
        f"{name}: a sample of {float(channels[row, column]):g} {place}, but floats are in -1..1; "
        f"{advice}"
    )
