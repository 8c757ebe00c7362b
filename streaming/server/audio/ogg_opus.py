"""Opus in Ogg, decoded as its bytes arrive.

The Ogg pages (RFC 3533, RFC 7845) are parsed here, because a container reader blocks until more
bytes arrive; the packets are decoded by FFmpeg's libopus through PyAV. Decoding goes page by page:
the audio does not depend on how the bytes are cut, and at most one page of 30 s is decoded between
two checks of the limits.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import unpack_from
from typing import Any

import numpy as np

from asr.audio import Samples
from asr.errors import AudioError

OPUS_RATE = 48_000  # whatever the rate of the encoder's input
HEADER_BYTES = 27  # of a page, before its table of segments
MAX_PACKET_BYTES = 2**24  # audio needs 2**16; a comment may contain a picture
STARTS, ENDS, CONTINUES = 2, 4, 1  # flags of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggOpus:
    """A stream of bytes to samples."""

    def __init__(self) -> None:
        """Raises ModuleNotFoundError without PyAV."""
        import av

        self._av: Any = av
        self._bytes = bytearray()
        self._packet = bytearray()  # that continues on the next page
        self._serial = self._next_page = -1
        self._headers = 0  # of the two at the start of a stream
        self._decoder: Any = None
        self._pre_skip = self._skip = self._samples_out = 0  # samples

    @property
    def is_incomplete(self) -> bool:
        """Bytes of an incomplete page or packet have arrived."""
        return bool(self._bytes or self._packet)

    def push(self, data: bytes) -> Iterator[Samples]:
        """The audio of each page that became complete, float32 [samples] at 48 kHz.

        Raises:
            AudioError: not Ogg, not Opus, or damaged.
        """
        self._bytes += data
        while page := self._take_page():
            yield self._decode(page)

    def _take_page(self) -> bytes | None:
        if not b"OggS".startswith(self._bytes[:4]) or (len(self._bytes) > 4 and self._bytes[4]):
            raise AudioError("no Ogg page where one should start: damaged, or not Ogg")
        if len(self._bytes) < HEADER_BYTES or len(self._bytes) < HEADER_BYTES + self._bytes[26]:
            return None
        table = self._bytes[HEADER_BYTES : HEADER_BYTES + self._bytes[26]]
        length = HEADER_BYTES + len(table) + sum(table)
        if len(self._bytes) < length:
            return None
        page = bytes(self._bytes[:length])
        del self._bytes[:length]
        if checksum(page) != unpack_from("<I", page, 22)[0]:
            raise AudioError("an Ogg page with a wrong checksum: damaged")
        return page

    def _decode(self, page: bytes) -> Samples:
        flags, granule, serial, number = unpack_from("<xxxxxBqII", page)
        if flags & STARTS:
            self._serial, self._next_page, self._headers = serial, number, 0
            self._packet.clear()
        if (serial, number) != (self._serial, self._next_page):
            raise AudioError("an Ogg page is missing, or another stream is mixed in")
        self._next_page = (number + 1) % 2**32
        if bool(flags & CONTINUES) != bool(self._packet):
            raise AudioError("an Ogg packet is missing")
        pieces = [piece for packet in self._packets(page) for piece in self._decode_packet(packet)]
        if not self._headers:
            raise AudioError("an Ogg stream whose first page has no OpusHead")
        samples = np.concatenate([np.zeros(0, np.float32), *pieces])
        skipped = min(self._skip, len(samples))
        self._skip -= skipped
        samples = samples[skipped:]
        if flags & ENDS and granule >= 0:  # the last packet may be longer than the audio
            left = max(0, granule - self._pre_skip - self._samples_out)
            samples = samples[:left]
        self._samples_out += len(samples)
        return samples

    def _packets(self, page: bytes) -> Iterator[bytes]:
        at = HEADER_BYTES + page[26]
        for size in page[HEADER_BYTES:at]:
            self._packet += page[at : at + size]
            if len(self._packet) > MAX_PACKET_BYTES:
                raise AudioError(f"an Ogg packet of more than {MAX_PACKET_BYTES} bytes")
            at += size
            if size < 255:
                yield bytes(self._packet)
                self._packet.clear()

    def _decode_packet(self, packet: bytes) -> Iterator[Samples]:
        self._headers = min(self._headers + 1, 3)
        if self._headers == 1:
            self._start(packet)
        elif self._headers == 3:
            try:
                for frame in self._decoder.decode(self._av.Packet(packet)):
                    yield _mono(frame)
            except self._av.FFmpegError as error:
                raise AudioError(f"an Opus packet that cannot be decoded ({error})") from None

    def _start(self, head: bytes) -> None:
        if head[:8] != b"OpusHead" or len(head) < 19:
            raise AudioError("Ogg without Opus in it")
        channels, family = head[9], head[18]
        if channels not in (1, 2) or family:
            raise AudioError("Opus of more than two channels")
        self._pre_skip = unpack_from("<H", head, 10)[0]
        self._skip, self._samples_out = self._pre_skip, 0
        self._decoder = self._av.CodecContext.create("libopus", "r")
        # A pre-skip of 0: FFmpeg versions differ in how they apply it.
        self._decoder.extradata = head[:10] + b"\0\0" + head[12:]
        self._decoder.sample_rate = OPUS_RATE


def checksum(page: bytes) -> int:
    """RFC 3533, section 6: zlib's polynomial, initial value 0, highest bit first, over the page
    with zeros in place of the checksum."""
    zeroed = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(zeroed.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def _mono(frame: Any) -> Samples:
    samples = frame.to_ndarray()
    if samples.dtype == np.int16:
        samples = samples / np.float32(2**15)
    return samples.reshape(-1, len(frame.layout.channels)).mean(axis=1, dtype=np.float32)
