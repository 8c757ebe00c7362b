"""Compares the length that a file declares with the samples that were read from it.

A declared length is a count: the frames of a Xing, Info or VBRI frame, the samples in FLAC's
STREAMINFO, the last page of Ogg, the boxes of MP4, the segment of Matroska. Estimates (from the
file's size and its bit rate) are not used.
"""

from __future__ import annotations

import os
from typing import IO, Any

from asr.audio.containers import HEAD_BYTES
from asr.audio.containers.mp4_boxes import last_box_is_cut
from asr.audio.containers.mpeg_frames import (
    FrameCount,
    first_frame,
    frame_count_in,
    header,
    skip_tags,
)
from asr.audio.containers.ogg_pages import scan_pages
from asr.audio.containers.wav_chunks import UNKNOWN_SIZE, data_is_cut

_READ_BYTES = 1 << 20
_STREAMINFO = b"fLaC"
_STREAMINFO_BYTES = 26  # up to and including the number of samples
_COUNTED_BY_HEADER = ("tta", "wv")
_SEGMENT = bytes.fromhex("18538067")


class DeclaredLength:
    """The declared length of one file, and the packets and samples read from it so far."""

    def __init__(self, file: IO[bytes], format: str, stream: Any) -> None:
        """Reads the declared length; the file's position is restored.

        Args:
            format: the names of FFmpeg's demuxer.
            stream: PyAV's stream of the track that is read.
        """
        self._file, self._format, self._stream = file, format.split(",")[0], stream
        self._samples = self._packets = 0
        self._rate = 1
        self._last_is_cut = False
        place = file.tell()
        file_bytes = file.seek(0, os.SEEK_END)
        self._first, starts = _mp3_frame_count(file) if self._format == "mp3" else (None, 0)
        self._frames = self._first.frames if self._first else 0
        self._lacks_bytes = bool(
            self._first and self._first.bytes and starts + self._first.bytes > file_bytes
        )
        file.seek(place)

    def add_joined_file(self, packet: bytes) -> bool:
        """Whether a packet starts an MP3 file joined to the previous one; adds its frame count."""
        if not self._first or not (more := frame_count_in(packet)):
            return False
        self._frames += more.frames
        return True

    def count_packet(self, packet: bytes) -> None:
        """Count one more decoded packet."""
        self._packets += 1
        if self._first:
            parsed = header(packet)
            self._last_is_cut = parsed is not None and len(packet) < parsed.frame_bytes

    def count_samples(self, samples: int, sample_rate: int) -> None:
        """Count more decoded samples, per channel."""
        self._samples += samples
        self._rate = sample_rate

    def problem(self, gaps_seconds: list[float], broken_end: bool) -> str | None:
        """A message on the damage of a file that was read to its end; None without damage.

        Args:
            gaps_seconds: times of undecodable packets that decoded samples follow.
            broken_end: undecodable data follows the last decoded sample.
        """
        seconds = self._samples / self._rate
        pages = scan_pages(self._file) if self._format == "ogg" else None
        if pages:
            positions = (position / self._rate for position in pages.gaps)
            gaps_seconds = sorted({*gaps_seconds, *(min(at, seconds) for at in positions)})
        if gaps_seconds:
            count = len(gaps_seconds)
            more = f" and {count - 1} more times" if count > 1 else ""
            return (
                f"damaged at {gaps_seconds[0]:.1f} s{more}: the undecodable part is skipped. "
                "Copy it again from its source"
            )
        if pages and not pages.ended:
            return "truncated: its last Ogg page is missing or cut. Copy it again from its source"
        declared = self._declared_seconds()
        if declared is not None and declared > seconds:
            return (
                f"damaged or truncated: its header declares {declared:.1f} s, it holds "
                f"{seconds:.1f} s. Copy it again from its source"
            )
        if self._is_cut():
            return (
                f"truncated after {seconds:.1f} s: its end is missing. Copy it again from its "
                "source"
            )
        if broken_end:
            return f"damaged or truncated after {seconds:.1f} s. Copy it again from its source"
        return None

    def _is_cut(self) -> bool:
        if self._format == "mp3":
            # Some encoders include the frame that holds the count.
            missing = self._frames - self._packets
            return missing > 1 or (self._lacks_bytes and (missing == 1 or self._last_is_cut))
        if self._format == "mov":
            return last_box_is_cut(self._file)
        if self._format == "wav":
            return data_is_cut(self._file)
        if self._format == "avi":
            return _riff_is_cut(self._file)
        if self._format == "caf":
            return _caf_chunk_is_cut(self._file)
        return self._format == "matroska" and _segment_is_cut(self._file)

    def _declared_seconds(self) -> float | None:
        if self._format == "flac":
            samples = _streaminfo_samples(self._file)
            return samples / self._rate if samples else None
        if self._format in _COUNTED_BY_HEADER and self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        return None


def _mp3_frame_count(file: IO[bytes]) -> tuple[FrameCount | None, int]:
    """The count in the first frame, and the position of that frame."""
    starts = skip_tags(file)
    file.seek(starts)
    head = file.read(HEAD_BYTES)
    at = first_frame(head)
    return (frame_count_in(head[at : at + 200]), starts + at) if at is not None else (None, starts)


def _streaminfo_samples(file: IO[bytes]) -> int | None:
    """The samples of all FLAC files that are joined in this one; None if one count is unknown."""
    file.seek(0)
    total, data = 0, b""
    while new := file.read(_READ_BYTES):
        data += new
        at = data.find(_STREAMINFO)
        while 0 <= at <= len(data) - _STREAMINFO_BYTES:
            if data[at + 4 : at + 8] in (b"\0\0\0\x22", b"\x80\0\0\x22"):
                samples = int.from_bytes(data[at + 18 : at + 26], "big") & (1 << 36) - 1
                if not samples:
                    return None
                total += samples
            at = data.find(_STREAMINFO, at + 4)
        data = data[at:] if at >= 0 else data[-3:]
    return total


def _riff_is_cut(file: IO[bytes]) -> bool:
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(4)
    return file_bytes < 8 + int.from_bytes(file.read(4), "little") < UNKNOWN_SIZE


def _caf_chunk_is_cut(file: IO[bytes]) -> bool:
    file_bytes = file.seek(0, os.SEEK_END)
    at = 8
    while at + 12 <= file_bytes:
        file.seek(at)
        size = int.from_bytes(file.read(12)[4:], "big", signed=True)
        if size < 0:  # the chunk lasts to the end of the file
            return False
        at += 12 + size
    return at > file_bytes


def _segment_is_cut(file: IO[bytes]) -> bool:
    """Of Matroska and WebM; a segment of unknown size, as in a live recording, is never cut."""
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(4096)
    at = head.find(_SEGMENT)
    if at < 0 or at + 12 > len(head) or not head[at + 4]:
        return False
    length = 9 - head[at + 4].bit_length()  # bytes of the size field
    starts = at + 4 + length
    size = int.from_bytes(head[at + 4 : starts], "big") & (1 << 7 * length) - 1
    return size != (1 << 7 * length) - 1 and starts + size > file_bytes
