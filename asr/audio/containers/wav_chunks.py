"""The chunks of a WAV file: detects samples after the declared end of the `data` chunk.

A crashed recorder leaves a size of 0. A program that writes to a pipe cannot correct a size that is
too small. More than 4 GiB do not fit into the size field.
"""

from __future__ import annotations

import os
from struct import unpack
from typing import IO, Literal, NamedTuple

from asr.audio.containers.mpeg_frames import skip_tags

_NOT_SOUND = (b"TAG", b"ID3", b"APETAGEX", b"<?xpacket")
_PROBE_BYTES = 65_536
_MPEG = (0x50, 0x55)
# A size of 0x7FFFFFFF or 0xFFFFFFFF bytes: the length was unknown when the header was written.
UNKNOWN_SIZE = 0x7FFF_0000


def data_continues(file: IO[bytes]) -> bool:
    """Whether samples follow the declared end of the `data` chunk."""
    data = _data_chunk(file)
    return data is not None and _is_sound(file, data.starts + data.size, data.size > 0)


def data_is_cut(file: IO[bytes]) -> bool:
    """Whether the `data` chunk is cut."""
    data = _data_chunk(file)
    file_bytes = file.seek(0, os.SEEK_END)
    return data is not None and data.size < UNKNOWN_SIZE and data.starts + data.size > file_bytes


def holds_mpeg(file: IO[bytes]) -> bool:
    """Whether the codec is MP3 or MP2, for which libsndfile writes to standard error."""
    data = _data_chunk(file)
    return data is not None and data.codec in _MPEG


class _Data(NamedTuple):
    """A `data` chunk, and the codec of its samples."""

    starts: int  # position in the file
    size: int  # declared bytes
    codec: int


def _data_chunk(file: IO[bytes]) -> _Data | None:
    end_of_file = file.seek(0, os.SEEK_END)
    starts = skip_tags(file)
    file.seek(starts)
    riff = file.read(12)
    order: Literal["big", "little"] = "big" if riff[:4] == b"RIFX" else "little"
    large_size = None
    codec = 0
    at = starts + 12
    while at + 8 <= end_of_file:
        file.seek(at)
        name, size = file.read(4), int.from_bytes(file.read(4), order)
        if name == b"ds64" and size >= 16:
            large_size = unpack("<8xQ", file.read(16))[0]
        if name == b"fmt ":
            codec = int.from_bytes(file.read(2), order)
        if name == b"data":
            is_large = size == 0xFFFFFFFF and large_size is not None
            return _Data(at + 8, large_size if is_large and large_size else size, codec)
        at += 8 + size + size % 2
    return None


def _is_sound(file: IO[bytes], starts: int, has_sound: bool) -> bool:
    """Whether the bytes after the `data` chunk are neither chunks nor tags nor padding."""
    end_of_file = file.seek(0, os.SEEK_END)
    if end_of_file - starts < 8:
        return False
    file.seek(starts)
    start = file.read(_PROBE_BYTES)
    is_padding = has_sound and end_of_file - starts <= _PROBE_BYTES and not start.strip(b"\0")
    if start.startswith(_NOT_SOUND) or is_padding:
        return False
    return not any(_are_chunks(file, at, end_of_file) for at in (starts, starts + 1))


def _are_chunks(file: IO[bytes], at: int, end_of_file: int) -> bool:
    while at + 8 <= end_of_file:
        file.seek(at)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if not all(32 <= byte < 127 for byte in name):
            return False
        at += 8 + size + size % 2
    return at <= end_of_file + 8
