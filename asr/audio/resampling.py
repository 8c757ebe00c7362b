"""Converts samples of any rate and channel count, in pieces of any length, to 16 kHz mono."""

from __future__ import annotations

from math import gcd
from numbers import Real
from typing import Any

import numpy as np
import soxr

from asr.audio.mono import ChannelMixer
from asr.audio.scale import IntegerScale, as_channels
from asr.errors import AudioError

SAMPLE_RATE = 16_000
LOWEST_SAMPLE_RATE = 4_000
HIGHEST_SAMPLE_RATE = 768_000
# Longer than soxr's filter; a restored resampler processes it again.
_HISTORY_SECONDS = 0.25

Samples = np.ndarray  # float32 [samples], 16 kHz mono, unless said otherwise


def samples_at_16_khz(
    samples: Any, sample_rate: float = SAMPLE_RATE, name: str = "sound"
) -> Samples:
    """A whole recording, [samples] or [samples, channels], as float32 [samples] at 16 kHz.

    Raises:
        AudioError: as `Resampler`.
    """
    resampler = Resampler(sample_rate, name)
    return np.concatenate([resampler.push(samples), resampler.finish()])


class Resampler:
    """Converts samples of any rate and channel count, in pieces of any length, to 16 kHz mono.

    `state` returns the carried state as plain values, and `from_state` continues from it, in
    another process too. The restored filter is primed with the last 250 ms; its output is equal
    within 1e-6.
    """

    def __init__(self, sample_rate: float, name: str = "sound") -> None:
        """Raises AudioError for a rate that is not a whole number of hertz from 4 to 768 kHz."""
        given: Any = sample_rate  # may be a NumPy number, which the type does not include
        if not isinstance(given, Real) or isinstance(given, bool):
            raise AudioError(
                f"{name}: a sample rate of {given!r}, which is no number; give whole hertz, "
                f"such as {SAMPLE_RATE}"
            )
        if not LOWEST_SAMPLE_RATE <= sample_rate <= HIGHEST_SAMPLE_RATE or sample_rate % 1:
            raise AudioError(
                f"{name}: a sample rate of {sample_rate} Hz; give whole hertz from "
                f"{LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE}"
            )
        self.sample_rate = int(sample_rate)
        self.name = name
        self.samples_in = 0
        self.samples_out = 0
        self._drop = 0  # outputs of a restored resampler that were returned before it was saved
        self._primed = np.zeros(0, np.float32)  # outputs of the priming that were not
        self._recent = _RecentSamples(int(_HISTORY_SECONDS * self.sample_rate) + self._unit_in)
        self._soxr = _new_soxr(self.sample_rate)
        self._mixer = ChannelMixer(self.sample_rate)
        self._integers = IntegerScale(self.sample_rate, name)

    def push(self, samples: Any) -> Samples:
        """The next piece: [samples] or [samples, channels], floats in -1..1 or signed integers.

        Raises:
            AudioError: wrong shape, type or scale, or samples that are NaN or infinite; the
                resampler is unchanged.
        """
        channels = as_channels(samples, self.name, self.sample_rate, self.samples_in)
        self._integers.check(samples)
        mono = self._mixer.push(channels)
        self.samples_in += len(mono)
        if self._soxr is None:
            self.samples_out += len(mono)
            return mono
        self._recent.push(mono)
        return self._returned(self._soxr.resample_chunk(mono))

    def finish(self) -> Samples:
        """The samples that the filter still holds. The resampler cannot be used afterwards."""
        if self._soxr is None:
            return np.zeros(0, np.float32)
        return self._returned(self._soxr.resample_chunk(np.zeros(0, np.float32), last=True))

    def state(self) -> dict[str, Any]:
        """The carried state: numbers and the arrays `history` and `channel_block`."""
        return {
            "sample_rate": self.sample_rate,
            "samples_in": self.samples_in,
            "samples_out": self.samples_out,
            "history": self._history(),
            **self._mixer.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], name: str = "sound") -> Resampler:
        """A resampler that continues from a state."""
        resampler = cls(state["sample_rate"], name)
        resampler.samples_in = int(state["samples_in"])
        resampler.samples_out = int(state["samples_out"])
        resampler._mixer.restore(state)
        if resampler._soxr is not None:
            history = np.asarray(state["history"], np.float32)
            resampler._recent.push(history)
            unit_in, unit_out = _ratio(resampler.sample_rate)
            primed_from = resampler.samples_in - len(history)  # a multiple of unit_in
            returned = resampler.samples_out - primed_from // unit_in * unit_out
            primed = resampler._soxr.resample_chunk(history)
            resampler._drop = max(0, returned - len(primed))
            resampler._primed = primed[returned:]
        return resampler

    def _returned(self, samples: Samples) -> Samples:
        dropped = min(self._drop, len(samples))
        self._drop -= dropped
        samples = np.concatenate([self._primed, samples[dropped:]])
        self._primed = self._primed[:0]
        self.samples_out += len(samples)
        return samples

    @property
    def _unit_in(self) -> int:
        return _ratio(self.sample_rate)[0]

    def _history(self) -> Samples:
        """The last 250 ms, starting at a sample whose 16 kHz position is whole; empty at 16 kHz."""
        recent = self._recent.samples() if self._soxr is not None else np.zeros(0, np.float32)
        keep_from = max(0, self.samples_in - int(_HISTORY_SECONDS * self.sample_rate))
        keep_from = keep_from // self._unit_in * self._unit_in
        return recent[max(0, len(recent) - (self.samples_in - keep_from)) :].copy()


class _RecentSamples:
    """The last `kept` samples of a stream. They move once per `kept` samples, not at each push."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._buffer = np.zeros(2 * kept, np.float32)
        self._filled = 0

    def push(self, samples: Samples) -> None:
        samples = samples[-self._kept :]
        if self._filled + len(samples) > len(self._buffer):
            left = self._buffer[self._filled - (self._kept - len(samples)) : self._filled]
            self._buffer[: len(left)] = left.copy()
            self._filled = len(left)
        self._buffer[self._filled : self._filled + len(samples)] = samples
        self._filled += len(samples)

    def samples(self) -> Samples:
        """A view of the last `kept` samples, or of all if there are fewer."""
        return self._buffer[max(0, self._filled - self._kept) : self._filled]


def _ratio(sample_rate: int) -> tuple[int, int]:
    """The smallest numbers of samples, in and out, of equal duration."""
    common = gcd(sample_rate, SAMPLE_RATE)
    return sample_rate // common, SAMPLE_RATE // common


def _new_soxr(sample_rate: int) -> soxr.ResampleStream | None:
    if sample_rate == SAMPLE_RATE:
        return None
    return soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")
