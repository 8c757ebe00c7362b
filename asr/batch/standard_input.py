"""Standard input as a recording that can be read several times at once."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from typing import IO, Any

from asr.batch.finding import STDIN
from asr.errors import AudioError

NAME = "standard input"


class SourceFile:
    """A recording; standard input is copied to disk, for it may be long, or to memory where there
    is no temporary folder."""

    def __init__(self, source: str) -> None:
        """Raises AudioError for a standard input that is empty or cannot be kept."""
        self.source = source
        self.name = NAME if source == STDIN else source
        self._copy = _copied() if source == STDIN else None

    def opened(self) -> str | IO[bytes]:
        """What asr.audio reads; each opening has a position of its own."""
        if self._copy is None:
            return self.source
        if isinstance(self._copy, io.BytesIO):
            return io.BytesIO(self._copy.getvalue())
        return io.BufferedReader(_View(self._copy.fileno(), self._copy.tell()))

    def close(self) -> None:
        """Delete the copy."""
        if self._copy is not None:
            self._copy.close()


class _View(io.RawIOBase):
    """An open file from a position of its own."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._size, self._position = descriptor, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("a position before the start")
        self._position = start + offset
        return self._position


def _copied() -> IO[bytes]:
    copy: IO[bytes]
    try:
        copy = tempfile.TemporaryFile()  # noqa: SIM115  closed by its owner
    except OSError:
        copy = io.BytesIO()
    try:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
    except OSError as error:
        raise AudioError(
            f"{NAME}: cannot be kept while it is read: {error.strerror}. Make room, "
            "or name a folder that has some in TMPDIR"
        ) from None
    if not copy.tell():
        raise AudioError(f"{NAME}: is empty (0 bytes)")
    return copy
