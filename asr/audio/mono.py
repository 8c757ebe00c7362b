"""Many channels to one: their average, or the louder one where the average would cancel.

Stereo whose right channel is inverted (a plug wired the wrong way, a "wide" recording) is silence
when it is averaged. So each block of 20 ms is measured, and from the next block on the louder
channel is taken alone as long as the average is much quieter than sound of unrelated channels
would be. Only the past decides, in blocks that are counted from the first sample, so the result is
the same for every way of cutting the sound. Sound that does not cancel is averaged and nothing
else, to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asr.audio.scale import as_channels

BLOCK_SECONDS = 0.02
SHARE_OF_A_BLOCK = 0.1  # in the running energies: they forget within 0.2 s
# Energy of the average, as a share of what unrelated channels would have: 1 for those, 2 for the
# same sound in both of two, 0 for inverted sound.
CANCELLED, NOT_CANCELLED = 0.2, 0.5


def to_mono(samples: Any, name: str = "sound", sample_rate: int = 16_000) -> np.ndarray:
    """A whole sound, [samples] or [samples, channels], floats or signed integers, to float32
    [samples].

    Raises:
        AudioError: another shape or type, or values that are no sound.
    """
    return ChannelMixer(sample_rate).push(as_channels(samples, name))


class ChannelMixer:
    """[samples, channels] in pieces of any length to [samples]."""

    def __init__(self, sample_rate: int) -> None:
        self._block_samples = max(1, round(BLOCK_SECONDS * sample_rate))
        self._channels = 1
        self._block: np.ndarray = np.zeros((0, 1), np.float32)
        self._energies: np.ndarray = np.zeros(1)
        self._average_energy, self._blocks = 0.0, 0
        # The channel that is taken alone, at the begin and at the end of the running block.
        self._channel_before: int | None = None
        self._channel: int | None = None

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The next float32 [samples, channels]; another number of channels begins anew."""
        if samples.shape[1] != self._channels:
            self._start(samples.shape[1])
        if self._channels == 1:
            return samples[:, 0]  # not the mean: mono sound is not rounded again
        mono: np.ndarray = samples.mean(axis=1)
        kept = len(self._block)
        joined = np.concatenate([self._block, samples])
        for start in range(0, len(joined), self._block_samples):
            block = joined[start : start + self._block_samples]
            if self._channel_before is not None or self._channel is not None:
                new = slice(max(0, kept - start), None)
                weights = self._weights(len(block))[new]
                place = max(0, start - kept)
                mixed = (block[new] * weights).sum(axis=1)
                mono[place : place + len(mixed)] = mixed
            if len(block) == self._block_samples:
                self._learn(block)
        self._block = joined[len(joined) // self._block_samples * self._block_samples :].copy()
        return mono

    def state(self) -> dict[str, Any]:
        """What is carried, as plain numbers and one array, `channel_block`."""
        return {
            "channels": self._channels,
            "channel_energies": self._energies.tolist(),
            "average_energy": self._average_energy,
            "channel_blocks": self._blocks,
            "channel_before": self._channel_before,
            "channel": self._channel,
            "channel_block": self._block,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the mixer of `state` stood; a state without channels is one of mono sound."""
        self._start(int(state.get("channels", 1)))
        if self._channels == 1:
            return
        self._energies = np.array(state["channel_energies"], np.float64)
        self._average_energy = float(state["average_energy"])
        self._blocks = int(state["channel_blocks"])
        self._channel_before, self._channel = state["channel_before"], state["channel"]
        self._block = np.asarray(state["channel_block"], np.float32).reshape(-1, self._channels)

    def _start(self, channels: int) -> None:
        self._channels = channels
        self._block = np.zeros((0, channels), np.float32)
        self._energies = np.zeros(channels)
        self._average_energy, self._blocks = 0.0, 0
        self._channel_before = self._channel = None

    def _weights(self, length: int) -> np.ndarray:
        """float32 [length, channels]: from one choice to the next without a click."""
        before, after = self._choice(self._channel_before), self._choice(self._channel)
        share = np.arange(1, length + 1, dtype=np.float32)[:, None] / self._block_samples
        weights: np.ndarray = before + share * (after - before)
        return weights.astype(np.float32)

    def _choice(self, channel: int | None) -> np.ndarray:
        if channel is None:
            return np.full(self._channels, 1 / self._channels, np.float32)
        alone = np.zeros(self._channels, np.float32)
        alone[channel] = 1
        return alone

    def _learn(self, block: np.ndarray) -> None:
        """Measure a whole block and choose for the next."""
        sound = block.astype(np.float64)
        sound -= sound.mean(axis=0)  # a constant offset is no sound
        self._blocks += 1
        share = max(1 / self._blocks, SHARE_OF_A_BLOCK)
        self._energies += share * ((sound**2).mean(axis=0) - self._energies)
        average_energy = float((sound.mean(axis=1) ** 2).mean())
        self._average_energy += share * (average_energy - self._average_energy)
        unrelated = float(self._energies.sum()) / self._channels**2
        self._channel_before = self._channel
        if self._channel is None and self._average_energy < CANCELLED * unrelated:
            self._channel = int(self._energies.argmax())
        elif self._channel is not None and self._average_energy > NOT_CANCELLED * unrelated:
            self._channel = None
