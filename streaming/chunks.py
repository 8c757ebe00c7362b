"""Samples that wait until a whole chunk of them has arrived."""

from __future__ import annotations

from collections import deque

import numpy as np

from asr.audio import Samples


class ChunkQueue:
    """A queue of float32 [samples] that arrive in pieces of any length and leave in chunks.

    A chunk that lies within one piece is a view of it: nothing is copied. The caller does not
    change a piece after it was pushed.
    """

    def __init__(self, samples: Samples | None = None) -> None:
        self._pieces: deque[Samples] = deque()
        self._length = 0
        if samples is not None:
            self.push(samples)

    def __len__(self) -> int:
        """Samples that wait."""
        return self._length

    def push(self, samples: Samples) -> None:
        """Append a piece."""
        if len(samples):
            self._pieces.append(samples)
            self._length += len(samples)

    def take(self, count: int) -> Samples:
        """The next `count` samples, or all that wait if they are fewer."""
        taken, missing = [], min(count, self._length)
        while missing:
            piece = self._pieces.popleft()
            if len(piece) > missing:
                rest = piece[missing:]
                # A view would keep the whole piece in memory until the next chunk is complete.
                self._pieces.appendleft(rest if len(rest) >= count else rest.copy())
                piece = piece[:missing]
            taken.append(piece)
            missing -= len(piece)
            self._length -= len(piece)
        return taken[0] if len(taken) == 1 else np.concatenate([np.zeros(0, np.float32), *taken])

    def waiting(self) -> Samples:
        """A copy of all that waits, for saving."""
        return np.concatenate([np.zeros(0, np.float32), *self._pieces])
