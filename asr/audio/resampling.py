"""Samples of any rate and channel count, in pieces of any length, to 16 kHz mono."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import soxr

from asr.audio.mono import ChannelMixer
from asr.audio.scale import IntegerScale, as_channels
from asr.errors import AudioError

SAMPLE_RATE = 16_000
LOWEST_SAMPLE_RATE = 4_000
HIGHEST_SAMPLE_RATE = 768_000
# soxr's filter reaches back less than this; a restored resampler hears it again.
_HISTORY_SECONDS = 0.25

Samples = np.ndarray  # float32 [samples], 16 kHz mono, unless said otherwise


def samples_at_16_khz(
    samples: Any, sample_rate: float = SAMPLE_RATE, name: str = "sound"
) -> Samples:
    """A whole sound, [samples] or [samples, channels], as float32 [samples] at 16 kHz.

    Raises:
        AudioError: as `Resampler`.
    """
    resampler = Resampler(sample_rate, name)
    return np.concatenate([resampler.push(samples), resampler.finish()])


class Resampler:
    """Samples of any rate and channel count, in pieces of any length, to 16 kHz mono.

    What is carried is in the object; `state` gives it as plain values, and `from_state` goes on
    from there, in another process too (the filter is primed with the last 250 ms: equal to 1e-6).
    """

    def __init__(self, sample_rate: float, name: str = "sound") -> None:
        """Raises AudioError for a rate outside 4 to 768 kHz or a broken number of hertz."""
        if not LOWEST_SAMPLE_RATE <= sample_rate <= HIGHEST_SAMPLE_RATE or sample_rate % 1:
            raise AudioError(
                f"{name}: a sample rate of {sample_rate} Hz; give whole hertz from "
                f"{LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE}"
            )
        self.sample_rate = int(sample_rate)
        self.name = name
        self.samples_in = 0
        self.samples_out = 0
        self._drop = 0  # outputs of a restored resampler that were given out before
        self._primed = np.zeros(0, np.float32)  # outputs of the priming that were not
        self._history = np.zeros(0, np.float32)
        self._soxr = _new_soxr(self.sample_rate)
        self._mixer = ChannelMixer(self.sample_rate)
        self._integers = IntegerScale(self.sample_rate, name)

    def push(self, samples: Any) -> Samples:
        """The next piece: [samples] or [samples, channels], floats in -1..1 or signed integers.

        Raises:
            AudioError: wrong shape, type or scale, or samples that are NaN or infinite; the
                resampler is as it was before.
        """
        channels = as_channels(samples, self.name, self.sample_rate, self.samples_in)
        self._integers.check(samples)
        mono = self._mixer.push(channels)
        self.samples_in += len(mono)
        if self._soxr is None:
            self.samples_out += len(mono)
            return mono
        self._remember(mono)
        return self._given_out(self._soxr.resample_chunk(mono))

    def finish(self) -> Samples:
        """The samples that the filter still holds; the resampler is at its end after that."""
        if self._soxr is None:
            return np.zeros(0, np.float32)
        return self._given_out(self._soxr.resample_chunk(np.zeros(0, np.float32), last=True))

    def state(self) -> dict[str, Any]:
        """All that is carried, as numbers and the arrays `history` and `channel_block`."""
        return {
            "sample_rate": self.sample_rate,
            "samples_in": self.samples_in,
            "samples_out": self.samples_out,
            "history": self._history.copy(),
            **self._mixer.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], name: str = "sound") -> Resampler:
        """A resampler that goes on where the one of `state` stood."""
        resampler = cls(state["sample_rate"], name)
        resampler.samples_in = int(state["samples_in"])
        resampler.samples_out = int(state["samples_out"])
        resampler._mixer.restore(state)
        if resampler._soxr is not None:
            resampler._history = np.asarray(state["history"], np.float32)
            unit_in, unit_out = _ratio(resampler.sample_rate)
            primed_from = resampler.samples_in - len(resampler._history)  # a multiple of unit_in
            given_out = resampler.samples_out - primed_from // unit_in * unit_out
            primed = resampler._soxr.resample_chunk(resampler._history)
            resampler._drop = max(0, given_out - len(primed))
            resampler._primed = primed[given_out:]
        return resampler

    def _given_out(self, samples: Samples) -> Samples:
        dropped = min(self._drop, len(samples))
        self._drop -= dropped
        samples = np.concatenate([self._primed, samples[dropped:]])
        self._primed = self._primed[:0]
        self.samples_out += len(samples)
        return samples

    def _remember(self, mono: Samples) -> None:
        """Keep the last quarter second, from a sample on whose 16 kHz position is whole."""
        unit_in, _ = _ratio(self.sample_rate)
        history = np.concatenate([self._history, mono])
        begins = self.samples_in - len(history)
        keep_from = max(0, self.samples_in - int(_HISTORY_SECONDS * self.sample_rate))
        keep_from = max(begins, keep_from // unit_in * unit_in)
        self._history = history[keep_from - begins :]


def _ratio(sample_rate: int) -> tuple[int, int]:
    """The smallest whole numbers of samples, in and out, that last equally long."""
    common = gcd(sample_rate, SAMPLE_RATE)
    return sample_rate // common, SAMPLE_RATE // common


def _new_soxr(sample_rate: int) -> soxr.ResampleStream | None:
    if sample_rate == SAMPLE_RATE:
        return None
    return soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")
