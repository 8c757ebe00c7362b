"""The running streams of all processes, in memory that they share.

Each process has a row of places, one for each stream that the whole server may have. A place has a
key of its client, or zero. A process writes into its own row only. The front empties the row of a
process that has ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from streaming.server.limits import Limits, StreamSlots, check_slots

PLACE_BYTES = 8
SECRET, PROCESSES, NOT_RESPONDING, REPLACED, HUNG, HEADER = range(6)  # places before the first row


class SlotTable:
    """The shared memory. The kernel releases its lock when a process dies."""

    def __init__(self, descriptor: int, rows: int) -> None:
        self.descriptor, self.rows = descriptor, rows
        places = np.frombuffer(mmap.mmap(descriptor, 0), np.uint64)
        self._header, self._rows = places[:HEADER], places[HEADER:].reshape(rows, -1)

    @classmethod
    def of(cls, limits: Limits, rows: int) -> SlotTable:
        """An empty table with this many rows."""
        descriptor = os.memfd_create("rill-streams")
        os.ftruncate(descriptor, PLACE_BYTES * (HEADER + rows * limits.streams))
        table = cls(descriptor, rows)
        table._header[SECRET] = int.from_bytes(os.urandom(PLACE_BYTES))
        return table

    @property
    def processes(self) -> int:
        """Workers that accept connections."""
        return int(self._header[PROCESSES])

    @property
    def not_responding(self) -> int:
        """Processes that are late to respond, and are killed if they go on so."""
        return int(self._header[NOT_RESPONDING])

    @property
    def replaced(self) -> int:
        """Workers that ended unasked and were replaced."""
        return int(self._header[REPLACED])

    @property
    def hung(self) -> int:
        """Processes that were killed because they did not respond."""
        return int(self._header[HUNG])

    def note(self, processes: int, not_responding: int, replaced: int, hung: int) -> None:
        """Write these numbers; the front does."""
        self._header[PROCESSES], self._header[NOT_RESPONDING] = processes, not_responding
        self._header[REPLACED], self._header[HUNG] = replaced, hung

    def key(self, client: str) -> np.uint64:
        """A client's key: not zero, and unknown to clients."""
        secret = self._header[SECRET].tobytes()
        digest = hashlib.blake2b(client.encode(), digest_size=PLACE_BYTES, key=secret).digest()
        return np.uint64(int.from_bytes(digest) | 1)

    def taken(self, row: int | None = None) -> int:
        """Running streams of a process, or of all."""
        return int(np.count_nonzero(self._rows if row is None else self._rows[row]))

    def taken_by(self, key: np.uint64) -> int:
        """Running streams of a client."""
        return int(np.count_nonzero(self._rows == key))

    def put(self, row: int, key: np.uint64) -> None:
        """Add a stream to a row, which has room."""
        self._rows[row, np.flatnonzero(self._rows[row] == 0)[0]] = key

    def remove(self, row: int, key: np.uint64) -> None:
        """Remove one stream of this client from a row."""
        self._rows[row, np.flatnonzero(self._rows[row] == key)[0]] = 0

    def clear(self, row: int) -> None:
        """Empty the row of a process that has ended. The front takes no lock: a process that was
        stopped may hold it."""
        self._rows[row] = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process reads and writes meanwhile."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)


class SharedSlots(StreamSlots):
    """The slots of the whole server, as one process takes them."""

    def __init__(self, limits: Limits, table: SlotTable, row: int) -> None:
        super().__init__(limits)
        self._table, self._row = table, row

    @property
    def processes(self) -> int:  # type: ignore[override]
        """Processes that accept connections."""
        return self._table.processes

    @property
    def not_responding(self) -> int:  # type: ignore[override]
        """Processes that are late to respond."""
        return self._table.not_responding

    @property
    def replaced(self) -> int:  # type: ignore[override]
        """Processes that ended unasked and were replaced."""
        return self._table.replaced

    @property
    def hung(self) -> int:  # type: ignore[override]
        """Processes that were killed because they did not respond."""
        return self._table.hung

    @property
    def taken(self) -> int:
        """Running streams of all processes."""
        return self._table.taken()

    @property
    def taken_here(self) -> int:
        """Those of this process."""
        return self._table.taken(self._row)

    def _take(self, client: str) -> None:
        key = self._table.key(client)
        with self._table.locked():
            check_slots(self._limits, self._table.taken(), self._table.taken_by(key))
            self._table.put(self._row, key)

    def _give_back(self, client: str) -> None:
        self._table.remove(self._row, self._table.key(client))
