"""MP3 frame headers, tags, and the Xing, Info or VBRI frame that counts the other frames.

    a header, 4 bytes: 11 bits set, version, layer, no checksum, bit rate, sample rate, padding, ...

FFmpeg decodes the frames.
"""

from __future__ import annotations

import os
from struct import unpack_from
from typing import IO, NamedTuple

# kbit/s by the header's index; keys: (MPEG 1, or 2 for 2 and 2.5; layer).
_RATES = {
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")
_FRAMES, _BYTES = 1, 2  # flags of a Xing frame: the fields that it holds


class Header(NamedTuple):
    """The header of a frame."""

    frame_bytes: int
    samples: int  # of each channel
    sample_rate: int  # Hz
    side_bytes: int  # from the frame's start to the place of a Xing or Info tag


class FrameCount(NamedTuple):
    """The counts in a Xing, Info or VBRI frame."""

    frames: int
    bytes: int | None  # from the start of this frame to the end of the file


def header(data: bytes, at: int = 0) -> Header | None:
    """The header of a layer II or III frame that starts at `at`; None if there is none."""
    if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    rate_index, hertz_index, padding = (
        data[at + 2] >> 4,
        data[at + 2] >> 2 & 3,
        data[at + 2] >> 1 & 1,
    )
    if version == 1 or layer not in (2, 3) or rate_index in (0, 15) or hertz_index == 3:
        return None
    mpeg = 1 if version == 3 else 2
    hertz = _HERTZ[version][hertz_index]
    samples = 576 if (mpeg, layer) == (2, 3) else 1152
    frame_bytes = samples // 8 * 1000 * _RATES[mpeg, layer][rate_index] // hertz + padding
    mono = data[at + 3] >> 6 == 3
    side = (17 if mono else 32) if mpeg == 1 else (9 if mono else 17)
    return Header(frame_bytes, samples, hertz, 4 + side)


def first_frame(data: bytes) -> int | None:
    """Position of the first frame, a header that another one follows; None if there is none."""
    at = data.find(b"\xff")
    while at >= 0:
        first = header(data, at)
        if first is not None:
            after = at + first.frame_bytes
            if header(data, after) is not None or after == len(data):
                return at
        at = data.find(b"\xff", at + 1)
    return None


def frame_count_in(data: bytes) -> FrameCount | None:
    """The counts of the Xing, Info or VBRI frame in these bytes; None if there is none."""
    for tag in (b"Xing", b"Info", b"VBRI"):
        at = data.find(tag)
        for side in (36, 21, 13) if at >= 0 else ():
            parsed = header(data, at - side) if at >= side else None
            if parsed is None or (tag != b"VBRI" and parsed.side_bytes != side):
                continue
            if tag == b"VBRI" and side == 36 and len(data) >= at + 18:
                size, frames = unpack_from(">II", data, at + 10)
                return FrameCount(frames, size)
            if tag != b"VBRI" and len(data) >= at + 16:
                flags, frames, size = unpack_from(">III", data, at + 4)
                if flags & _FRAMES:
                    return FrameCount(frames, size if flags & _BYTES else None)
    return None


def is_tag(data: bytes) -> bool:
    """Whether bytes between frames are a tag or padding rather than damage."""
    return data.startswith(_TAGS) or not data.strip(b"\0")


def skip_tags(file: IO[bytes]) -> int:
    """Position after the ID3v2 tags at the start of a file."""
    at = file.seek(0)
    while True:
        start = file.read(10)
        if start[:3] != b"ID3" or len(start) < 10 or max(start[6:10]) > 127:
            break
        size = start[6] << 21 | start[7] << 14 | start[8] << 7 | start[9]
        footer = 10 if start[5] & 0x10 else 0
        at = file.seek(at + 10 + size + footer, os.SEEK_SET)
    return at
