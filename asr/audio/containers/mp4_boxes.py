"""The top-level boxes of an MP4 file: detects a truncated one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO


def mp4_is_cut(file: IO[bytes]) -> bool:
    """Whether an MP4 that cannot be opened lacks its index (moov), or its end."""
    has_index = any(kind == b"moov" for kind, _ in _boxes(file))
    return not has_index or last_box_is_cut(file)


def last_box_is_cut(file: IO[bytes]) -> bool:
    """Whether a box is longer than the file."""
    file_bytes = file.seek(0, os.SEEK_END)
    return any(ends > file_bytes for _, ends in _boxes(file))


def _boxes(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The kind and the end of each top-level box."""
    file_bytes = file.seek(0, os.SEEK_END)
    at = 0
    while at + 8 <= file_bytes:
        file.seek(at)
        start = file.read(16)
        size, kind = int.from_bytes(start[:4], "big"), start[4:8]
        if size == 1:
            size = int.from_bytes(start[8:], "big")
        elif size == 0:
            size = file_bytes - at
        if size < 8 or not all(32 <= byte < 127 for byte in kind):
            return
        at += size
        yield kind, at
