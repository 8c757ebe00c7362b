"""Mixes channels to one: their average, or the loudest channel where the average would cancel.

Stereo whose right channel is inverted (a wrongly wired plug, a "wide" recording) averages to
silence. The mixer measures each block of 20 ms. While the average is much quieter than that of
unrelated channels, it takes the loudest channel alone, from the next block on. Blocks are counted
from the first sample and only past blocks decide, so the result does not depend on how the samples
are cut. Channels that do not cancel give exactly their average.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asr.audio.scale import as_channels

BLOCK_SECONDS = 0.02
BLOCK_WEIGHT = 0.1  # in the running energies, which decay within 0.2 s
# Energy of the average relative to that of unrelated channels: 1 for unrelated channels, 2 for two
# equal ones, 0 for inverted ones.
CANCELLED, NOT_CANCELLED = 0.2, 0.5


def to_mono(samples: Any, name: str = "sound", sample_rate: int = 16_000) -> np.ndarray:
    """Mix a whole recording to one channel.

    Args:
        samples: [samples] or [samples, channels], floats in -1..1 or signed integers.

    Returns:
        float32 [samples].

    Raises:
        AudioError: another shape or type, or values out of range.
    """
    return ChannelMixer(sample_rate).push(as_channels(samples, name))


class ChannelMixer:
    """Mixes float32 [samples, channels] in pieces of any length to [samples]."""

    def __init__(self, sample_rate: int) -> None:
        self._block_samples = max(1, round(BLOCK_SECONDS * sample_rate))
        self._channels = 1
        self._block: np.ndarray = np.zeros((0, 1), np.float32)
        self._energies: np.ndarray = np.zeros(1)
        self._average_energy, self._blocks = 0.0, 0
        # The channel that is taken alone, at the start and at the end of the current block.
        self._channel_before: int | None = None
        self._channel: int | None = None

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Mix the next float32 [samples, channels]; another channel count resets the mixer."""
        if samples.shape[1] != self._channels:
            self._start(samples.shape[1])
        if self._channels == 1:
            return samples[:, 0]  # not the mean, which would round
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
                self._update(block)
        self._block = joined[len(joined) // self._block_samples * self._block_samples :].copy()
        return mono

    def state(self) -> dict[str, Any]:
        """The carried state: plain numbers and one array, `channel_block`."""
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
        """Continue from a state; a state without channels is that of mono audio."""
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
        """float32 [length, channels]: a linear fade from one choice to the next."""
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

    def _update(self, block: np.ndarray) -> None:
        """Measure a whole block and choose the channel of the next."""
        centred = block.astype(np.float64)
        centred -= centred.mean(axis=0)  # a constant offset is no signal
        self._blocks += 1
        weight = max(1 / self._blocks, BLOCK_WEIGHT)
        self._energies += weight * ((centred**2).mean(axis=0) - self._energies)
        average_energy = float((centred.mean(axis=1) ** 2).mean())
        self._average_energy += weight * (average_energy - self._average_energy)
        unrelated = float(self._energies.sum()) / self._channels**2
        self._channel_before = self._channel
        if self._channel is None and self._average_energy < CANCELLED * unrelated:
            self._channel = int(self._energies.argmax())
        elif self._channel is not None and self._average_energy > NOT_CANCELLED * unrelated:
            self._channel = None
