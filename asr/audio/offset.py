"""Removes a constant offset of the samples, which cheap microphones add.

The mean of each block of 10 ms updates a running mean that decays within 0.2 s. One block later the
running mean is subtracted, interpolated from the previous value to the new one, so that there is no
step: a first-order high-pass at 0.8 Hz. Blocks are counted from the first sample and only past
blocks decide, so the result does not depend on how the samples are cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK_SAMPLES = 160  # 10 ms at 16 kHz
BLOCK_WEIGHT = 0.05  # in the running mean


class OffsetFilter:
    """Filters float32 [samples] at 16 kHz in pieces of any length."""

    def __init__(self) -> None:
        self._block = np.zeros(0, np.float32)  # the incomplete block
        self._blocks = 0
        self._before = self._level = 0.0  # offset at the start and at the end of the block

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The next samples without offset, as many as are given."""
        kept = len(self._block)
        joined = np.concatenate([self._block, samples])
        whole = len(joined) // BLOCK_SAMPLES
        blocks = joined[: whole * BLOCK_SAMPLES].reshape(whole, BLOCK_SAMPLES)
        means = blocks.mean(axis=1, dtype=np.float64)
        levels = [self._before, self._level]
        for mean in means.tolist():
            self._blocks += 1
            weight = max(1 / self._blocks, BLOCK_WEIGHT)
            levels.append(levels[-1] + weight * (mean - levels[-1]))
        self._before, self._level = levels[-2:]
        self._block = joined[whole * BLOCK_SAMPLES :].copy()
        ends = np.array(levels)  # [blocks + 2]
        position = np.arange(1, BLOCK_SAMPLES + 1) / BLOCK_SAMPLES
        offset = ends[:-1, None] + np.diff(ends)[:, None] * position
        return joined[kept:] - offset.astype(np.float32).reshape(-1)[kept : len(joined)]

    def state(self) -> dict[str, Any]:
        """The carried state: plain numbers and one array, `offset_block`."""
        return {
            "offset_before": self._before,
            "offset_level": self._level,
            "offset_blocks": self._blocks,
            "offset_block": self._block,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> OffsetFilter:
        """A filter that continues from a state; a new one if the state has no offset."""
        offset = cls()
        if state.get("offset_block") is not None:
            offset._before = float(state["offset_before"])
            offset._level = float(state["offset_level"])
            offset._blocks = int(state["offset_blocks"])
            offset._block = np.asarray(state["offset_block"], np.float32)
        return offset


def without_offset(samples: np.ndarray) -> np.ndarray:
    """A whole recording without its constant offset, float32 [samples] at 16 kHz."""
    return OffsetFilter().push(samples)
