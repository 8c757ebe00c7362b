"""A constant offset of the samples, taken out: cheap microphones add one, and no speech has it.

The mean of each block of 10 ms goes into a running mean that forgets within 0.2 s. It is taken from
the sound one block later, on a straight line from the value before to the new one, so that there
is no step. In other words a high-pass of first order at 0.8 Hz. Only the past decides, in blocks
that are counted from the first sample: the result is the same for every way of cutting the sound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK_SAMPLES = 160  # 10 ms at 16 kHz
SHARE_OF_A_BLOCK = 0.05  # in the running mean


class OffsetFilter:
    """float32 [samples] at 16 kHz in pieces of any length to the same number without offset."""

    def __init__(self) -> None:
        self._block = np.zeros(0, np.float32)  # the part of a block that has come
        self._blocks = 0
        self._before = self._level = 0.0  # to take off at the begin and at the end of a block

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The next samples."""
        kept = len(self._block)
        joined = np.concatenate([self._block, samples])
        whole = len(joined) // BLOCK_SAMPLES
        blocks = joined[: whole * BLOCK_SAMPLES].reshape(whole, BLOCK_SAMPLES)
        means = blocks.mean(axis=1, dtype=np.float64)  # of samples of any size
        levels = [self._before, self._level]
        for mean in means.tolist():
            self._blocks += 1
            share = max(1 / self._blocks, SHARE_OF_A_BLOCK)
            levels.append(levels[-1] + share * (mean - levels[-1]))
        self._before, self._level = levels[-2:]
        self._block = joined[whole * BLOCK_SAMPLES :].copy()
        ends = np.array(levels)  # [blocks + 2]
        share_of_way = np.arange(1, BLOCK_SAMPLES + 1) / BLOCK_SAMPLES
        offset = ends[:-1, None] + np.diff(ends)[:, None] * share_of_way
        return joined[kept:] - offset.astype(np.float32).reshape(-1)[kept : len(joined)]

    def state(self) -> dict[str, Any]:
        """What is carried, as plain numbers and one array, `offset_block`."""
        return {
            "offset_before": self._before,
            "offset_level": self._level,
            "offset_blocks": self._blocks,
            "offset_block": self._block,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> OffsetFilter:
        """A filter that goes on where the one of `state` stood; a new one if it has none."""
        offset = cls()
        if state.get("offset_block") is not None:
            offset._before = float(state["offset_before"])
            offset._level = float(state["offset_level"])
            offset._blocks = int(state["offset_blocks"])
            offset._block = np.asarray(state["offset_block"], np.float32)
        return offset


def without_offset(samples: np.ndarray) -> np.ndarray:
    """A whole sound without its constant offset."""
    return OffsetFilter().push(samples)
