"""Reads recordings to samples, from a path, an open file or a pipe.

A fault of a recording is raised as one `AudioError`: before the first samples if none can be read,
and otherwise after the last ones, so that the readable samples are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO, TypeVar

import numpy as np

from asr.audio import ffmpeg, libsndfile
from asr.audio.containers.wav_chunks import data_continues, holds_mpeg
from asr.audio.ffmpeg import Decoded
from asr.audio.formats import APPLE_DOUBLE_NAME, LIBSNDFILE, format_of
from asr.audio.opening import Source, opened, source_name
from asr.audio.resampling import Resampler, Samples
from asr.audio.scale import MAX_CHANNELS
from asr.errors import AudioError, RillError

T = TypeVar("T")
BLOCK_SECONDS = 10.0


def read_audio(source: Source, track: int = 1) -> Samples:
    """A whole recording as float32 [samples] at 16 kHz, mono (asr/audio/mono.py).

    Args:
        source: a path, or an open binary file.
        track: number of the audio track, from 1.

    Raises:
        AudioError: it is missing, a folder, empty, without samples, truncated, damaged, no audio,
            without this track, not readable by this user, or holds samples that are NaN, infinite
            or far too large.
    """
    return np.concatenate(list(read_blocks(source, track=track)))


def read_blocks(
    source: Source,
    block_seconds: float = BLOCK_SECONDS,
    name: str | None = None,
    track: int = 1,
    channel: int | None = None,
) -> Iterator[Samples]:
    """The same samples as `read_audio`, in pieces of about `block_seconds`.

    Args:
        name: name of the source in messages; its own name if not given.
        track: number of the audio track, from 1.
        channel: number of the one channel to read, from 1; all are mixed to one if not given. A
            later part of the recording without this channel is silent.

    Raises:
        AudioError: as `read_audio`; for damage and truncation, after the last samples.
    """
    name = name or source_name(source)
    damage: list[RillError] = []
    with opened(source, name) as file:
        resampler, first_count = None, 0
        pieces = readable_part(_decoded(file, name, track, block_seconds), damage)
        for sample_rate, samples in _joined(pieces, block_seconds):
            if resampler is None or resampler.sample_rate != sample_rate:
                if resampler is not None:  # joined files of two rates
                    yield resampler.finish()
                resampler = Resampler(sample_rate, name)
            _check_channels(samples, name)
            if channel is not None:
                first_count = first_count or samples.shape[1]
                if samples.shape[1] > first_count and not damage:
                    more = f"a later part has {samples.shape[1]} channels"
                    damage.append(
                        AudioError(f"{name}: {more}; only the first {first_count} are read")
                    )
                samples = _one_channel(samples, channel)
            usable = _finite_samples(samples)
            if usable < len(samples):  # the resampler raises for the rest
                yield resampler.push(samples[:usable])
                samples = samples[usable:]
            yield resampler.push(samples)
        if resampler is not None:
            yield resampler.finish()
    for error in damage:
        raise error


def channel_count(source: Source, name: str | None = None, track: int = 1) -> int:
    """Channels of a recording at its start. Only its first samples are decoded.

    Raises:
        AudioError: as `read_audio`, if no sample can be read; more than 64 channels.
    """
    name = name or source_name(source)
    with opened(source, name) as file:
        for _, samples in _decoded(file, name, track, block_seconds=0.1):
            _check_channels(samples, name)
            return int(samples.shape[1])
    raise AudioError(f"{name}: holds no samples")


def readable_part(blocks: Iterable[T], damage: list[RillError]) -> Iterator[T]:
    """The blocks up to a damaged place. The error is appended to `damage` instead of being raised,
    so that the caller can use the blocks before it reports the error."""
    try:
        yield from blocks
    except AudioError as error:
        damage.append(error)


def duration_seconds(source: Source) -> float:
    """Exact duration: of WAV and AIFF from their header, of MP3, Ogg, MP4 and the like by counting
    their packets. No packet is decoded.

    Raises:
        AudioError: it cannot be opened as audio.
    """
    return _seconds(source, ffmpeg.packet_seconds)


def estimated_seconds(source: Source) -> float:
    """Duration from the header, or estimated from the size; 0 if both are unknown.

    Reads no packets, so it serves progress bars and the division of work.

    Raises:
        AudioError: it cannot be opened as audio.
    """
    return _seconds(source, ffmpeg.header_seconds)


def _seconds(
    source: Source, ffmpeg_seconds: Callable[[IO[bytes], str | None, str, bool], float]
) -> float:
    name = source_name(source)
    with opened(source, name) as file:
        format = _format(file, name)
        if _is_for_libsndfile(file, format):
            return libsndfile.header_seconds(file)
        return ffmpeg_seconds(file, format, name, _exceeds_header(file, format))


def _decoded(file: IO[bytes], name: str, track: int, block_seconds: float) -> Iterator[Decoded]:
    format = _format(file, name)
    if not _is_for_libsndfile(file, format):
        return ffmpeg.decode(file, format, name, track, _exceeds_header(file, format))
    if track > 1:
        raise AudioError(f"{name}: has one sound track; there is no track {track}")
    return libsndfile.decode(file, name, block_seconds)


def _format(file: IO[bytes], name: str) -> str | None:
    format = format_of(file)
    if format == APPLE_DOUBLE_NAME:
        raise AudioError(
            f"{name}: holds a Mac's metadata of a file (AppleDouble) and no sound; the recording "
            "is the file without ._ before its name"
        )
    return format


def _is_for_libsndfile(file: IO[bytes], format: str | None) -> bool:
    if format not in LIBSNDFILE or _exceeds_header(file, format):
        return False
    if format == "wav" and holds_mpeg(file):
        return False
    return libsndfile.can_read(file)


def _exceeds_header(file: IO[bytes], format: str | None) -> bool:
    """Whether a WAV holds more samples than its header declares."""
    return format == "wav" and data_continues(file)


def _joined(pieces: Iterable[Decoded], block_seconds: float) -> Iterator[Decoded]:
    """Blocks of `block_seconds` from pieces of the same rate and channel count."""
    waiting: list[np.ndarray] = []
    key, count = (0, 0), 0
    for rate, samples in pieces:
        if waiting and (rate, samples.shape[1]) != key:
            yield Decoded(key[0], np.concatenate(waiting))
            waiting, count = [], 0
        key = (rate, samples.shape[1])
        waiting.append(samples)
        count += len(samples)
        if count >= block_seconds * rate:
            yield Decoded(rate, np.concatenate(waiting))
            waiting, count = [], 0
    if waiting:
        yield Decoded(key[0], np.concatenate(waiting))


def _check_channels(samples: np.ndarray, name: str) -> None:
    if samples.shape[1] > MAX_CHANNELS:
        raise AudioError(
            f"{name}: has {samples.shape[1]} channels; at most {MAX_CHANNELS} can be read. Keep "
            "fewer: sox in.wav out.wav remix 1"
        )


def _one_channel(samples: np.ndarray, channel: int) -> np.ndarray:
    if channel > samples.shape[1]:
        return np.zeros((len(samples), 1), np.float32)
    return np.ascontiguousarray(samples[:, channel - 1 : channel])


def _finite_samples(samples: np.ndarray) -> int:
    """Number of samples before the first that is NaN or infinite."""
    wrong = ~np.isfinite(samples).all(axis=1)
    return int(wrong.argmax()) if wrong.any() else len(samples)
