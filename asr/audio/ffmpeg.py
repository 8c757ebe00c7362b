"""Files that FFmpeg decodes, through PyAV: MP3, FLAC, Ogg, MP4, WebM, WMA, AAC, AMR and others.

A packet that cannot be decoded is left out and the reading goes on behind it, as ffmpeg does; the
places are told when the sound has ended. PyAV is imported when the first such file is read. It
writes no line of FFmpeg to standard error unless a program asks it to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asr.audio.containers.declared_length import Promises, mp4_is_cut
from asr.audio.containers.matroska import find_gaps, with_gaps_void
from asr.audio.containers.mpeg_frames import is_tag, skip_tags
from asr.audio.formats import DEMUXERS
from asr.errors import AudioError

if TYPE_CHECKING:
    from av.container import InputContainer

# A broken first packet is no damage: a recording of a broadcast begins anywhere.
_PACKETS_OF_A_START = 2
# FLAC has checksums, and a frame of another one would be noise.
_CODEC_OPTIONS = {"flac": {"err_detect": "crccheck+explode"}}


class Decoded(NamedTuple):
    """A piece of sound as it was decoded."""

    sample_rate: int  # Hz; joined files may change it
    samples: np.ndarray  # [samples, channels], floats or signed integers


def decode(
    file: IO[bytes], format: str | None, name: str, track: int = 1, until_the_end: bool = False
) -> Iterator[Decoded]:
    """The sound of a file, packet by packet.

    Args:
        file: what can be wound back.
        format: FFmpeg's name of its demuxer; FFmpeg looks at the file if it is None.
        track: which of its sound tracks, from 1 on.
        until_the_end: of a WAV: read to the end of the file, whatever its header says.

    Raises:
        AudioError: it is no sound that FFmpeg knows, or has no such track; and behind the last
            piece, if a part could not be decoded or the end is missing.
    """
    import av

    gaps = find_gaps(file) if format == "matroska" else []
    with (
        with_gaps_void(file, gaps) if gaps else nullcontext(file) as readable,
        _opened(readable, format, name, until_the_end) as container,
    ):
        stream = _track(container, track, name)
        promises = Promises(file, container.format.name, stream)
        undecoded_seconds: list[float] = []  # where packets were that could not be decoded
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
            starts_a_file = packets > 1 and promises.also(data)
            try:
                frames: list[Any] = packet.decode()
            except (av.FFmpegError, ValueError):
                in_a_tag = in_a_tag or is_tag(data)
                if packets > _PACKETS_OF_A_START and not in_a_tag and not starts_a_file:
                    undecoded_seconds.append(seconds)
                continue
            in_a_tag = False
            if data:  # the last gives out what the decoder still holds
                promises.read_packet(data)
            for frame in frames:
                promises.read_samples(frame.samples, frame.sample_rate)
                seconds += frame.samples / frame.sample_rate
                yield Decoded(frame.sample_rate, _samples(frame))
        if not seconds:
            raise AudioError(f"{name}: holds no samples. Nothing was recorded, or the file is cut")
        gaps_seconds = [at for at in undecoded_seconds if at < seconds]
        at_the_end = len(undecoded_seconds) - len(gaps_seconds)
        gaps_seconds = sorted(set(gaps_seconds))
        # One packet at the end is one that is cut, or bytes of another kind.
        complaint = promises.complaint(gaps_seconds, is_cut or at_the_end > 1 or bool(gaps))
        if complaint:
            raise AudioError(f"{name}: {complaint}")


def packet_seconds(
    file: IO[bytes], format: str | None, name: str, until_the_end: bool = False
) -> float:
    """Seconds of sound, by the packets of the first track; nothing is decoded."""
    with _opened(file, format, name, until_the_end) as container:
        stream = _track(container, 1, name)
        ticks = sum((packet and packet.duration) or 0 for packet in _packets(container, stream))
        return float(ticks * (stream.time_base or 0))


def header_seconds(file: IO[bytes], format: str | None, name: str) -> float:
    """Seconds of sound as the header tells or FFmpeg estimates; 0 if neither can."""
    with _opened(file, format, name) as container:
        return (container.duration or 0) / 1_000_000


@contextmanager
def _opened(
    file: IO[bytes], format: str | None, name: str, until_the_end: bool = False
) -> Iterator[InputContainer]:
    import av

    try:
        container = av.open(
            # FFmpeg that is told the format takes no tag before it for one.
            _Bytes(file, skip_tags(file) if format == "wav" else 0),
            "r",
            format=format,
            options={
                "format_whitelist": ",".join(DEMUXERS),
                "protocol_whitelist": "none",
                **({"ignore_length": "1"} if until_the_end else {}),
            },
            metadata_errors="ignore",
        )
    except (av.FFmpegError, ValueError):
        raise AudioError(_not_sound(file, format, name)) from None
    with container:
        yield container


class _Bytes:
    """A file as PyAV wants it: one without a name, for it would guess a format from that."""

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
            f"{name}: begins as {format} does, but no sound can be read from it: damaged or "
            "truncated. Copy it again from its source"
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
        raise AudioError(f"{name}: its sound is of a kind that FFmpeg cannot decode here")
    context.options = _CODEC_OPTIONS.get(context.name, {})
    return stream


def _kinds(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return f"only {' and '.join(kinds)}" if kinds else "it is empty"


def _packets(container: InputContainer, stream: Any) -> Iterator[Any]:
    """All packets of a track; at last None, if the file cannot be read to its end."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:  # a packet of a track that the file's begin did not tell of
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
    sound: np.ndarray = frame.to_ndarray()
    is_planar = frame.format.is_planar
    sound = sound.T if is_planar else sound.reshape(-1, len(frame.layout.channels))
    if sound.dtype == np.uint8:
        return sound.astype(np.float32) / 128 - 1
    if sound.dtype == np.int64:
        return sound / np.float64(2**63)
    return sound
