"""Cuts long recordings at pauses, so that offline mode needs bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from asr.audio import SAMPLE_RATE, Samples

SHORTEST_PIECE_SECONDS = 12.0
LONGEST_PIECE_SECONDS = 28.0
PAUSE_SECONDS = 0.3


def cut_at_pauses(blocks: Iterable[Samples]) -> Iterator[tuple[int, Samples]]:
    """Pieces of 12 to 28 seconds, cut in the quietest 0.3 seconds.

    The cuts do not depend on how the samples are divided into blocks.

    Args:
        blocks: float32 [samples] at 16 kHz, in order.

    Yields:
        The index of the piece's first sample in the recording, and its samples. A recording shorter
        than 28 s is one piece.
    """
    longest = int(LONGEST_PIECE_SECONDS * SAMPLE_RATE)
    starts = 0
    waiting = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while len(waiting) > longest:
            cut = _quietest_place(waiting[:longest])
            yield starts, waiting[:cut]
            starts += cut
            waiting = waiting[cut:]
    if len(waiting):
        yield starts, waiting


def _quietest_place(samples: Samples) -> int:
    """The middle of the quietest pause, not before the shortest piece's end."""
    width = int(PAUSE_SECONDS * SAMPLE_RATE)
    first = int(SHORTEST_PIECE_SECONDS * SAMPLE_RATE)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples[first:], dtype=np.float64))])
    return first + int(np.argmin(energy[width:] - energy[:-width])) + width // 2
