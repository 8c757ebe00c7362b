"""Finds damage between the elements of Matroska and WebM (RFC 8794, RFC 9559).

At damage FFmpeg skips to the next cluster, or stops, without an error. So this module walks through
the elements and replaces bytes that are no element by a Void element before FFmpeg reads them.

    a file: EBML header, Segment: Info, Tracks, Cluster: Timestamp, SimpleBlock, SimpleBlock, ...

Sizes may be unknown, as in recordings of a browser: the element lasts until the next of its kind.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import IO, NamedTuple

_EBML, _SEGMENT, _CLUSTER, _VOID, _CRC = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0xEC, 0xBF
# SeekHead, Info, Tracks, Cues, Attachments, Chapters, Tags.
_IN_SEGMENT = {
    *(_EBML, _SEGMENT, _CLUSTER, _VOID, _CRC, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B),
    *(0x1941A469, 0x1043A770, 0x1254C367),
}
# Timestamp, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup, EncryptedBlock.
_IN_CLUSTER = {_VOID, _CRC, 0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF}
_CLUSTER_BYTES = _CLUSTER.to_bytes(4, "big")
_BLOCKS = b"\xa3\xa0"
# Consecutive whole elements that are no coincidence, before an end and before more damage.
_CHAIN, _LONG_CHAIN = 2, 20
_NEW_CLUSTER_BYTES = 15 + 2  # minimum size of a gap before blocks without a cluster
_MAX_HEADER_BYTES = 12  # of an element
_READ_BYTES = 1 << 20


class Gap(NamedTuple):
    """Bytes that are no element: their start and end in the file."""

    starts: int
    ends: int
    blocks_end: int | None = None  # end of the following blocks whose cluster has lost its header


class _Element(NamedTuple):
    id: int
    data: int  # start of its data
    ends: int | None  # None if its size is unknown


def find_gaps(file: IO[bytes]) -> list[Gap]:
    """The damaged places, in order. A truncated file has none at its end."""
    return _Walk(file).gaps


def with_gaps_void(file: IO[bytes], gaps: list[Gap]) -> IO[bytes]:
    """A temporary copy of the same size, with Void elements in the gaps."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    file.seek(0)
    shutil.copyfileobj(file, copy, _READ_BYTES)
    for gap in gaps:
        start = b"" if gap.blocks_end is None else _cluster_header(gap.blocks_end - gap.ends)
        size = gap.ends - gap.starts - len(start)
        short = size <= 128
        copy.seek(gap.starts)
        copy.write(b"\xec" + (bytes([0x80 | size - 2]) if short else _eight_bytes(size - 9)))
        copy.seek(gap.ends - len(start))
        copy.write(start)
    copy.seek(0)
    return copy


def _cluster_header(blocks_bytes: int) -> bytes:
    """With Timestamp 0: the blocks are decoded in file order, whatever their times."""
    timestamp = b"\xe7\x81\0"
    return _CLUSTER_BYTES + _eight_bytes(len(timestamp) + blocks_bytes) + timestamp


def _eight_bytes(size: int) -> bytes:
    return (1 << 56 | size).to_bytes(8, "big")


class _Walk:
    """One way through a file, element by element."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._file_ends = file.seek(0, os.SEEK_END)
        self._end = self._file_ends
        self.gaps: list[Gap] = []
        at: int | None = 0
        while at is not None and at < self._end:
            at = self._in_segment(at)

    def _in_segment(self, at: int) -> int | None:
        """Where the walk continues after the element at `at`; None at the end."""
        element = self._element(at)
        if element is None or not self._may_be(element, _IN_SEGMENT, self._end):
            return self._resumed_at_a_cluster(at)
        if element.id == _SEGMENT:
            self._end = min(element.ends or self._end, self._file_ends)
            return element.data
        if element.id == _CLUSTER:
            return self._cluster(element)
        if element.ends is None:
            return None
        if element.ends > self._end:
            return self._resumed_at_a_cluster(at)
        return element.ends

    def _cluster(self, cluster: _Element) -> int | None:
        at = cluster.data
        end = min(cluster.ends or self._end, self._end)
        while at < end:
            element = self._element(at)
            if element and element.id in _IN_SEGMENT - _IN_CLUSTER:
                return at
            is_here = element and self._may_be(element, _IN_CLUSTER, end)
            if element and is_here and element.ends and element.ends <= end:
                at = element.ends
                continue
            resumed = self._resumed_at_a_block(at, end)
            if resumed is None:
                if cluster.ends is None or cluster.ends > self._end:
                    return self._resumed_at_a_cluster(at)
                # A wrong cluster size would hide all following clusters.
                if not self._is_at_an_element(end):
                    return self._resumed_at_a_cluster(at)
                resumed = end
            self._add(at, resumed)
            at = resumed
        return end

    def _may_be(self, element: _Element, known: set[int], end: int) -> bool:
        """Whether its kind is allowed here, or is unknown and followed by an allowed one."""
        if element.id in known:
            return True
        if element.ends is None or element.ends > end:
            return False
        following = self._element(element.ends)
        return element.ends == end or (following is not None and following.id in known)

    def _is_at_an_element(self, at: int) -> bool:
        element = self._element(at)
        return at == self._end or (element is not None and element.id in _IN_SEGMENT)

    def _resumed_at_a_block(self, at: int, end: int) -> int | None:
        """Start of the next consecutive blocks that reach to the cluster's end."""
        found = self._blocks(at, 2, end)
        return found and found[0]

    def _blocks(self, at: int, from_byte: int, end: int) -> tuple[int, int] | None:
        """Start and end of the next consecutive blocks before the next cluster."""
        self._file.seek(at)
        data = self._file.read(min(end - at, 8 * _READ_BYTES))
        stop = data.find(_CLUSTER_BYTES)
        data = data if stop < 0 else data[:stop]
        for starts in range(from_byte, len(data)):
            if data[starts] in _BLOCKS:
                ends = self._end_of_blocks(at + starts, end)
                if ends is not None:
                    return at + starts, ends
        return None

    def _end_of_blocks(self, at: int, end: int) -> int | None:
        count = 0
        while at < end:
            element = self._element(at)
            if element is not None and element.id in _IN_SEGMENT - _IN_CLUSTER:
                return at if count >= _CHAIN else None
            is_here = element is not None and element.id in _IN_CLUSTER
            if element is None or not is_here or not element.ends or element.ends > end:
                return at if count >= _LONG_CHAIN else None  # more damage, or cut off
            at = element.ends
            count += 1
        return at if at == end and count >= _CHAIN else None

    def _resumed_at_a_cluster(self, at: int) -> int | None:
        """Where the walk continues after bytes that are no element: after blocks that have lost the
        header of their cluster, or at the next cluster. None if there is neither."""
        if found := self._blocks(at, _NEW_CLUSTER_BYTES, self._end):
            self.gaps.append(Gap(at, *found))
            return found[1]
        place = at + 1
        while True:
            self._file.seek(place)
            data = self._file.read(_READ_BYTES)
            found_at = data.find(_CLUSTER_BYTES)
            if found_at >= 0 and place + found_at < self._end:
                self._add(at, place + found_at)
                return place + found_at
            if len(data) < _READ_BYTES or place >= self._end:
                break
            place += len(data) - 3
        if not self._is_cut_off(at):
            self._add(at, self._end)
        return None

    def _is_cut_off(self, at: int) -> bool:
        """Whether the file ends here, within an element or with zeros after its last one."""
        element = self._element(at)
        known = element is not None and element.id in _IN_SEGMENT | _IN_CLUSTER
        self._file.seek(at)
        rest = self._file.read(_READ_BYTES)
        return known or len(rest) < _MAX_HEADER_BYTES or not rest.strip(b"\0")

    def _add(self, starts: int, ends: int) -> None:
        if ends - starts >= 2:
            self.gaps.append(Gap(starts, ends))

    def _element(self, at: int) -> _Element | None:
        self._file.seek(at)
        head = self._file.read(_MAX_HEADER_BYTES)
        if not head or not head[0] >> 4:
            return None
        id_bytes = 9 - head[0].bit_length()
        if len(head) <= id_bytes or not head[id_bytes]:
            return None
        size_bytes = 9 - head[id_bytes].bit_length()
        data = id_bytes + size_bytes
        if len(head) < data:
            return None
        unknown = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(head[id_bytes:data], "big") & unknown
        ends = None if size == unknown else at + data + size
        return _Element(int.from_bytes(head[:id_bytes], "big"), at + data, ends)
