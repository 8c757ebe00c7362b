"""Long recordings in pieces that begin and end in a pause: bounded memory for offline mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from asr.audio import SAMPLE_RATE, Samples

SHORTEST_PIECE_SECONDS = 12.0
LONGEST_PIECE_SECONDS = 28.0
PAUSE_SECONDS = 0.3


def cut_at_pauses(blocks: Iterable[Samples]) -> Iterator[tuple[int, Samples]]:
    """The sound of the blocks in pieces of 12 to 28 seconds, cut in their quietest 0.3 seconds.

    Where the cuts lie does not depend on how the blocks are cut.

    Args:
        blocks: float32 [samples] at 16 kHz, one after another.

    Yields:
        The first sample's place in the recording, and the samples, of each piece; a recording
        shorter than 28 s is one piece.
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
