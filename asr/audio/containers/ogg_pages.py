"""Finds missing and damaged pages of an Ogg file (RFC 3533), and a missing end.

FFmpeg skips a page whose checksum is wrong without an error, so the pages are checked here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import unpack_from
from typing import IO, NamedTuple

HEADER_BYTES = 27
MAX_PAGE_BYTES = HEADER_BYTES + 255 + 255 * 255
STARTS, ENDS = 2, 4  # flags
_READ_BYTES = 1 << 20
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Report(NamedTuple):
    """The completeness of a file."""

    gaps: list[int]  # granule position of the last page before each gap
    ended: bool  # the last page is there and has the end-of-stream flag


class Page(NamedTuple):
    """The header of one page."""

    flags: int
    position: int  # granule position of the end of its last packet; -1 if no packet ends in it
    serial: int  # identifies the logical stream
    number: int
    after_a_gap: bool  # other bytes lie between the previous page and this one


def scan_pages(file: IO[bytes]) -> Report:
    """Check all pages of a file."""
    gaps: list[int] = []
    next_numbers: dict[int, int] = {}
    position, ended = 0, False
    for page in _pages(file):
        expected = next_numbers.get(page.serial)
        is_missing = expected is not None and page.number != expected and not page.flags & STARTS
        # In a recording of a broadcast any page number may follow the headers.
        if (page.after_a_gap and next_numbers) or (is_missing and position > 0):
            gaps.append(position)
        if page.flags & STARTS:
            position = 0
        next_numbers[page.serial] = (page.number + 1) % 2**32
        position = max(position, page.position)
        ended = bool(page.flags & ENDS)
    return Report(gaps, ended)


def _pages(file: IO[bytes]) -> Iterator[Page]:
    """The complete pages with a correct checksum."""
    file.seek(0)
    data, at, more = b"", 0, True
    gap = False
    while True:
        if len(data) - at < 2 * MAX_PAGE_BYTES and more:
            new = file.read(_READ_BYTES)
            more = bool(new)
            data, at = data[at:] + new, 0
        starts = data.find(b"OggS", at)
        if starts < 0 and not more:
            return
        if starts < 0:
            at, gap = max(at, len(data) - 3), True
            continue
        gap = gap or starts > at
        length = _page_length(data, starts)
        page = data[starts : starts + length]
        if len(page) < length or not _checksum_is_right(page):
            at, gap = starts + 1, True
            continue
        flags, position, serial, number = unpack_from("<xxxxxBqII", page)
        yield Page(flags, position, serial, number, gap)
        at, gap = starts + length, False


def _page_length(data: bytes, at: int) -> int:
    """Bytes of the page; MAX_PAGE_BYTES if its header is cut."""
    if len(data) < at + HEADER_BYTES:
        return MAX_PAGE_BYTES
    table = data[at + HEADER_BYTES : at + HEADER_BYTES + data[at + 26]]
    return HEADER_BYTES + data[at + 26] + sum(table)


def _checksum_is_right(page: bytes) -> bool:
    """RFC 3533, section 6: zlib's polynomial with initial value 0 and the highest bit of each byte
    first, over the page with a zeroed checksum field."""
    zeroed = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(zeroed.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    stored: int = unpack_from("<I", page, 22)[0]
    return int(f"{reflected:032b}"[::-1], 2) == stored
