"""What a file says of its own length, compared with what was read of it.

Only what is counted is believed: the frames of a Xing, Info or VBRI frame, the samples in FLAC's
STREAMINFO, the last page of Ogg, the boxes of MP4, the segment of Matroska. An estimate (from the
size of a file and its bit rate) is no promise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, Any

from asr.audio.containers.mpeg_frames import Promise, first_frame, header, promise_in, skip_tags
from asr.audio.containers.ogg_pages import look_at_pages
from asr.audio.containers.wav_chunks import UNTIL_IT_ENDS, data_reaches_beyond
from asr.audio.formats import HEAD_BYTES

_READ_BYTES = 1 << 20
_STREAMINFO = b"fLaC"
_STREAMINFO_BYTES = 26  # to the end of the number of samples
_COUNTED_BY_HEADER = ("tta", "wv")
_SEGMENT = bytes.fromhex("18538067")


class Promises:
    """The promises of one file, and what was read of it so far."""

    def __init__(self, file: IO[bytes], format: str, stream: Any) -> None:
        """Looks into the file, and leaves it where it stood.

        Args:
            format: the names of FFmpeg's demuxer.
            stream: PyAV's, of the track that is read.
        """
        self._file, self._format, self._stream = file, format.split(",")[0], stream
        self._samples = self._packets = 0
        self._rate = 1
        self._last_is_cut = False
        place = file.tell()
        file_bytes = file.seek(0, os.SEEK_END)
        self._first, starts = _promise_of_mp3(file) if self._format == "mp3" else (None, 0)
        self._frames = self._first.frames if self._first else 0
        self._lacks_bytes = bool(
            self._first and self._first.bytes and starts + self._first.bytes > file_bytes
        )
        file.seek(place)

    def also(self, packet: bytes) -> bool:
        """Whether a packet begins a file of MP3 that is joined to the one before; its promise is
        added."""
        if not self._first or not (more := promise_in(packet)):
            return False
        self._frames += more.frames
        return True

    def read_packet(self, packet: bytes) -> None:
        """One more packet, which could be decoded."""
        self._packets += 1
        if self._first:
            parsed = header(packet)
            self._last_is_cut = parsed is not None and len(packet) < parsed.frame_bytes

    def read_samples(self, samples: int, sample_rate: int) -> None:
        """So many more samples of each channel."""
        self._samples += samples
        self._rate = sample_rate

    def complaint(self, gaps_seconds: list[float], broken_end: bool) -> str | None:
        """What is wrong with the file, now that all of it is read; None if nothing is.

        Args:
            gaps_seconds: where something was that could not be decoded, with sound behind it.
            broken_end: behind the last sound was more that could not be decoded.
        """
        seconds = self._samples / self._rate
        pages = look_at_pages(self._file) if self._format == "ogg" else None
        if pages:
            positions = (position / self._rate for position in pages.gaps)
            gaps_seconds = sorted({*gaps_seconds, *(min(at, seconds) for at in positions)})
        if gaps_seconds:
            count = len(gaps_seconds)
            more = f" and {count - 1} more times" if count > 1 else ""
            return (
                f"damaged at {gaps_seconds[0]:.1f} s{more}: what could not be decoded there is "
                "left out. Copy it again from its source"
            )
        if pages and not pages.ended:
            return "truncated: its last Ogg page is missing or cut. Copy it again from its source"
        promised = self._promised_seconds()
        if promised is not None and promised > seconds:
            return (
                f"damaged or truncated: its header promises {promised:.1f} s, it holds "
                f"{seconds:.1f} s. "
                "Copy it again from its source"
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
            # Some programs count the frame that holds the count too.
            missing = self._frames - self._packets
            return missing > 1 or (self._lacks_bytes and (missing == 1 or self._last_is_cut))
        if self._format == "mov":
            return _last_box_reaches_beyond(self._file)
        if self._format == "wav":
            return data_reaches_beyond(self._file)
        if self._format == "avi":
            return _riff_reaches_beyond(self._file)
        if self._format == "caf":
            return _chunk_of_caf_reaches_beyond(self._file)
        return self._format == "matroska" and _segment_reaches_beyond(self._file)

    def _promised_seconds(self) -> float | None:
        if self._format == "flac":
            samples = _streaminfo_samples(self._file)
            return samples / self._rate if samples else None
        if self._format in _COUNTED_BY_HEADER and self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        return None


def mp4_is_cut(file: IO[bytes]) -> bool:
    """Whether an MP4 that cannot be opened lacks the box that says where everything is, or an
    end."""
    has_index = any(kind == b"moov" for kind, _ in _boxes(file))
    return not has_index or _last_box_reaches_beyond(file)


def _promise_of_mp3(file: IO[bytes]) -> tuple[Promise | None, int]:
    """What the first frame tells, and where it begins."""
    starts = skip_tags(file)
    file.seek(starts)
    head = file.read(HEAD_BYTES)
    at = first_frame(head)
    return (promise_in(head[at : at + 200]), starts + at) if at is not None else (None, starts)


def _streaminfo_samples(file: IO[bytes]) -> int | None:
    """The samples of all FLAC files that were joined to this one; None if one does not tell."""
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


def _boxes(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The boxes of an MP4 at its highest level: their kind, and where each ends."""
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


def _last_box_reaches_beyond(file: IO[bytes]) -> bool:
    file_bytes = file.seek(0, os.SEEK_END)
    return any(ends > file_bytes for _, ends in _boxes(file))


def _riff_reaches_beyond(file: IO[bytes]) -> bool:
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(4)
    return file_bytes < 8 + int.from_bytes(file.read(4), "little") < UNTIL_IT_ENDS


def _chunk_of_caf_reaches_beyond(file: IO[bytes]) -> bool:
    file_bytes = file.seek(0, os.SEEK_END)
    at = 8
    while at + 12 <= file_bytes:
        file.seek(at)
        size = int.from_bytes(file.read(12)[4:], "big", signed=True)
        if size < 0:  # until the end
            return False
        at += 12 + size
    return at > file_bytes


def _segment_reaches_beyond(file: IO[bytes]) -> bool:
    """Of Matroska and WebM; a segment of unknown size, as of a live recording, promises nothing."""
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(4096)
    at = head.find(_SEGMENT)
    if at < 0 or at + 12 > len(head) or not head[at + 4]:
        return False
    length = 9 - head[at + 4].bit_length()  # of the number, in bytes
    starts = at + 4 + length
    size = int.from_bytes(head[at + 4 : starts], "big") & (1 << 7 * length) - 1
    return size != (1 << 7 * length) - 1 and starts + size > file_bytes
