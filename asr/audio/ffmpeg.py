"""Files that FFmpeg decodes, through PyAV: MP3, FLAC, Ogg, MP4, WebM, WMA, AAC, AMR and others.

A packet that cannot be decoded is skipped, as ffmpeg does; its time is reported after the last
sample. PyAV is imported when the first such file is read. By default it writes none of FFmpeg's
messages to standard error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asr.audio.containers.declared_length import DeclaredLength
from asr.audio.containers.matroska import find_gaps, with_gaps_void
from asr.audio.containers.mp4_boxes import mp4_is_cut
from asr.audio.containers.mpeg_frames import is_tag, skip_tags
from asr.audio.formats import DEMUXERS
from asr.errors import AudioError

if TYPE_CHECKING:
    from av.container import InputContainer

# Undecodable packets at the start are no damage: a recording of a broadcast starts anywhere.
_PACKETS_OF_A_START = 2
# FLAC has checksums; a frame whose checksum is wrong would be noise.
_CODEC_OPTIONS = {"flac": {"err_detect": "crccheck+explode"}}


class Decoded(NamedTuple):
    """Decoded samples of one packet or block."""

    sample_rate: int  # Hz; it may change within joined files
    samples: np.ndarray  # [samples, channels], floats or signed integers


def decode(
    file: IO[bytes], format: str | None, name: str, track: int = 1, ignore_length: bool = False
) -> Iterator[Decoded]:
    """Decode a file packet by packet.

    Args:
        file: a seekable file.
        format: FFmpeg's name of the demuxer; FFmpeg probes the file if it is None.
        track: number of the audio track, from 1.
        ignore_length: for WAV: read to the end of the file and ignore the length in the header.

    Raises:
        AudioError: FFmpeg cannot read it as audio, or it has no such track; after the last piece,
            if a part could not be decoded or the end is missing.
    """
    import av

    gaps = find_gaps(file) if format == "matroska" else []
    with (
        with_gaps_void(file, gaps) if gaps else nullcontext(file) as readable,
        _opened(readable, format, name, ignore_length) as container,
    ):
        stream = _track(container, track, name)
        declared = DeclaredLength(file, container.format.name, stream)
        undecoded_seconds: list[float] = []  # times of packets that could not be decoded
        seconds, packets, in_a_tag, is_cut = 0.0, 0, False, False
        for packet in _packets(container, stream):
            if packet is None:
                is_cut = True
                break
            packets += 1
            while gaps and (packet.pos or 0) > gaps[0].starts:
                undecoded_seconds.append(seconds)
                del gaps[0]
            data = bytes(packet)
            starts_a_file = packets > 1 and declared.add_joined_file(data)
            try:
                frames: list[Any] = packet.decode()
            except (av.FFmpegError, ValueError):
                in_a_tag = in_a_tag or is_tag(data)
                if packets > _PACKETS_OF_A_START and not in_a_tag and not starts_a_file:
                    undecoded_seconds.append(seconds)
                continue
            in_a_tag = False
            if data:  # the last, empty packet flushes the decoder
                declared.count_packet(data)
            for frame in frames:
                declared.count_samples(frame.samples, frame.sample_rate)
                seconds += frame.samples / frame.sample_rate
                yield Decoded(frame.sample_rate, _samples(frame))
        if not seconds:
            raise AudioError(f"{name}: holds no samples. Nothing was recorded, or the file is cut")
        gaps_seconds = [at for at in undecoded_seconds if at < seconds]
        at_the_end = len(undecoded_seconds) - len(gaps_seconds)
        gaps_seconds = sorted(set(gaps_seconds))
        # A single undecodable packet at the end is a cut one, or bytes of another kind.
        problem = declared.problem(gaps_seconds, is_cut or at_the_end > 1 or bool(gaps))
        if problem:
            raise AudioError(f"{name}: {problem}")


def packet_seconds(
    file: IO[bytes], format: str | None, name: str, ignore_length: bool = False
) -> float:
    """Duration in seconds, summed over the packets of the first track without decoding them."""
    with _opened(file, format, name, ignore_length) as container:
        stream = _track(container, 1, name)
        ticks = sum((packet and packet.duration) or 0 for packet in _packets(container, stream))
        return float(ticks * (stream.time_base or 0))


def header_seconds(
    file: IO[bytes], format: str | None, name: str, ignore_length: bool = False
) -> float:
    """Duration in seconds from the header or FFmpeg's estimate; 0 if both are unknown."""
    with _opened(file, format, name, ignore_length) as container:
        return (container.duration or 0) / 1_000_000


@contextmanager
def _opened(
    file: IO[bytes], format: str | None, name: str, ignore_length: bool = False
) -> Iterator[InputContainer]:
    import av

    try:
        container = av.open(
            # With an explicit format FFmpeg does not skip the tags before it.
            _Bytes(file, skip_tags(file) if format == "wav" else 0),
            "r",
            format=format,
            options={
                "format_whitelist": ",".join(DEMUXERS),
                "protocol_whitelist": "none",
                **({"ignore_length": "1"} if ignore_length else {}),
            },
            metadata_errors="ignore",
        )
    except (av.FFmpegError, ValueError):
        raise AudioError(_not_sound(file, format, name)) from None
    with container:
        yield container


class _Bytes:
    """A file without a name for PyAV, which would guess the format from the name."""

    def __init__(self, file: IO[bytes], starts: int = 0) -> None:
        file.seek(starts)
        self.read = file.read
        self._file, self._starts = file, starts

    def tell(self) -> int:
        return self._file.tell() - self._starts

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = self._starts if whence == os.SEEK_SET else 0
        return self._file.seek(starts + offset, whence) - self._starts


def _not_sound(file: IO[bytes], format: str | None, name: str) -> str:
    if format == "mov" and mp4_is_cut(file):
        return (
            f"{name}: truncated: its index (moov) or all sound is missing, so nothing can be read. "
            "The recording was cut before its end; copy it again from its source"
        )
    if format is not None:
        return (
            f"{name}: starts like a file of format {format}, but no sound can be read from it: "
            "damaged or truncated. Copy it again from its source"
        )
    return (
        f"{name}: not a sound file that can be read. WAV, FLAC, MP3, Ogg, Opus, M4A, MP4, WebM, "
        "WMA, AAC and AMR can be; convert it with ffmpeg"
    )


def _track(container: InputContainer, track: int, name: str) -> Any:
    tracks = container.streams.audio
    if not tracks:
        raise AudioError(f"{name}: has no sound in it ({_kinds(container)})")
    if track > len(tracks):
        there_are = "one sound track" if len(tracks) == 1 else f"{len(tracks)} sound tracks"
        raise AudioError(f"{name}: has {there_are}; there is no track {track}")
    stream = tracks[track - 1]
    context = stream.codec_context
    if context is None:
        raise AudioError(f"{name}: this FFmpeg has no decoder for its sound")
    context.options = _CODEC_OPTIONS.get(context.name, {})
    return stream


def _kinds(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return f"only {' and '.join(kinds)}" if kinds else "it is empty"


def _packets(container: InputContainer, stream: Any) -> Iterator[Any]:
    """All packets of a track; then None, if the file cannot be read to its end."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:  # a packet of a track that the header does not declare
            packets = container.demux(stream)
            continue
        except (av.FFmpegError, ValueError):
            yield None
            return
        if packet is None:
            return
        yield packet


def _samples(frame: Any) -> np.ndarray:
    """[samples, channels], floats or signed integers."""
    samples: np.ndarray = frame.to_ndarray()
    is_planar = frame.format.is_planar
    samples = samples.T if is_planar else samples.reshape(-1, len(frame.layout.channels))
    if samples.dtype == np.uint8:
        return samples.astype(np.float32) / 128 - 1
    if samples.dtype == np.int64:
        return samples / np.float64(2**63)
    return samples
