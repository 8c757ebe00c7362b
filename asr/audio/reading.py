"""Recordings to samples: from a path, an open file, or a pipe that cannot be wound back.

Whatever is wrong with a recording is told as one `AudioError`: before its first samples if none can
be read, and else behind its last ones, so that what was heard is kept.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from asr.audio import ffmpeg, libsndfile
from asr.audio.containers.wav_chunks import holds_mpeg, sound_goes_on
from asr.audio.ffmpeg import Decoded
from asr.audio.formats import APPLE_DOUBLE_NAME, LIBSNDFILE, format_of
from asr.audio.resampling import Resampler, Samples
from asr.audio.scale import MAX_CHANNELS
from asr.errors import AudioError, RillError

Source = str | os.PathLike[str] | IO[bytes]
T = TypeVar("T")
BLOCK_SECONDS = 10.0
_COPIED_BYTES = 1 << 20


def read_audio(source: Source, track: int = 1) -> Samples:
    """A whole recording as float32 [samples] at 16 kHz, mono (asr/audio/mono.py).

    Args:
        source: a path, or an open binary file.
        track: which of its sound tracks, from 1 on.

    Raises:
        AudioError: it is missing, a folder, empty, without samples, truncated, damaged, not sound,
            without this track, holds samples that are no numbers or far too large, or may not be
            read.
    """
    return np.concatenate(list(read_blocks(source, track=track)))


def read_blocks(
    source: Source,
    block_seconds: float = BLOCK_SECONDS,
    name: str | None = None,
    track: int = 1,
) -> Iterator[Samples]:
    """The same samples as `read_audio`, in pieces of about `block_seconds`.

    Args:
        name: what errors call the source, if not by its own name.
        track: which of its sound tracks, from 1 on.

    Raises:
        AudioError: as `read_audio`; for damage and truncation, behind the last samples.
    """
    name = name or source_name(source)
    damage: list[RillError] = []
    with _opened(source, name) as file:
        resampler = None
        pieces = readable_part(_decoded(file, name, track, block_seconds), damage)
        for sample_rate, samples in _joined(pieces, block_seconds):
            if resampler is None or resampler.sample_rate != sample_rate:
                if resampler is not None:  # a file of another rate is joined to the first
                    yield resampler.finish()
                resampler = Resampler(sample_rate, name)
            _check_channels(samples, name)
            usable = _numbers_before(samples)
            if usable < len(samples):  # what came before is heard
                yield resampler.push(samples[:usable])
                samples = samples[usable:]
            yield resampler.push(samples)
        if resampler is not None:
            yield resampler.finish()
    for error in damage:
        raise error


def readable_part(blocks: Iterable[T], damage: list[RillError]) -> Iterator[T]:
    """The blocks up to a damaged place; the error goes into `damage` instead of being raised, so
    that what was heard before it can be told first."""
    try:
        yield from blocks
    except AudioError as error:
        damage.append(error)


def duration_seconds(source: Source) -> float:
    """Duration, counted: of MP3, Ogg, MP4 and the like by reading through their packets, of WAV and
    its kin by their header. Nothing is decoded.

    Raises:
        AudioError: it cannot be opened as sound.
    """
    name = source_name(source)
    with _opened(source, name) as file:
        format = _format(file, name)
        if _is_for_libsndfile(file, format):
            return libsndfile.header_seconds(file)
        return ffmpeg.packet_seconds(file, format, name, _goes_on(file, format))


def estimated_seconds(source: Source) -> float:
    """Duration as the header tells it, or estimated from the size: for progress bars and for
    sharing work, at once and as good as it is. 0 if nothing tells.

    Raises:
        AudioError: it cannot be opened as sound.
    """
    name = source_name(source)
    with _opened(source, name) as file:
        format = _format(file, name)
        if _is_for_libsndfile(file, format):
            return libsndfile.header_seconds(file)
        return ffmpeg.header_seconds(file, format, name)


def source_name(source: Source) -> str:
    """What messages call a source."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)  # a temporary file's is a number
    return name if isinstance(name, str) else "standard input"


def _decoded(file: IO[bytes], name: str, track: int, block_seconds: float) -> Iterator[Decoded]:
    format = _format(file, name)
    if not _is_for_libsndfile(file, format):
        return ffmpeg.decode(file, format, name, track, _goes_on(file, format))
    if track > 1:
        raise AudioError(f"{name}: has one sound track; there is no track {track}")
    return libsndfile.decode(file, name, block_seconds)


def _format(file: IO[bytes], name: str) -> str | None:
    format = format_of(file)
    if format == APPLE_DOUBLE_NAME:
        raise AudioError(
            f"{name}: holds what a Mac keeps beside a file (AppleDouble), and no sound; the "
            "recording is the file without ._ before its name"
        )
    return format


def _is_for_libsndfile(file: IO[bytes], format: str | None) -> bool:
    if format not in LIBSNDFILE or _goes_on(file, format):
        return False
    if format == "wav" and holds_mpeg(file):
        return False
    return libsndfile.reads(file)


def _goes_on(file: IO[bytes], format: str | None) -> bool:
    """Behind the end that a WAV's header tells."""
    return format == "wav" and sound_goes_on(file)


def _joined(pieces: Iterable[Decoded], block_seconds: float) -> Iterator[Decoded]:
    """Pieces of one rate and one number of channels together, as far as a block is long."""
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


def _numbers_before(samples: np.ndarray) -> int:
    """How many samples come before the first that is NaN or infinite."""
    wrong = ~np.isfinite(samples).all(axis=1)
    return int(wrong.argmax()) if wrong.any() else len(samples)


@contextmanager
def _opened(source: Source, name: str) -> Iterator[IO[bytes]]:
    """The source as a file that can be wound back, at its begin; a pipe is copied to the disk
    first, for it may be long."""
    if isinstance(source, str | os.PathLike):
        with _opened_path(Path(source), name) as file:
            yield file
    elif source.seekable():
        if not source.seek(0, os.SEEK_END):
            raise AudioError(f"{name}: is empty (0 bytes)")
        yield source
    else:
        with tempfile.TemporaryFile() as copied:
            shutil.copyfileobj(source, copied, _COPIED_BYTES)
            if not copied.tell():
                raise AudioError(f"{name}: is empty (0 bytes)")
            yield copied


def _opened_path(path: Path, name: str) -> IO[bytes]:
    try:
        if path.is_dir():
            raise AudioError(f"{name}: is a folder, not a sound file")
        if path.exists() and not path.is_file():  # a look at it would take sound out of it
            raise AudioError(f"{name}: is a pipe or a device; give its sound to standard input (-)")
        file = path.open("rb")
    except FileNotFoundError:
        if path.is_symlink():
            raise AudioError(
                f"{name}: is a link to {os.readlink(path)}, which is not there"
            ) from None
        raise AudioError(f"{name}: no such file") from None
    except PermissionError:
        raise AudioError(
            f"{name}: may not be read (permissions). chmod +r, or ask its owner"
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{name}: cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        if not file.seek(0, os.SEEK_END):
            raise AudioError(f"{name}: is empty (0 bytes)")
    except BaseException:
        file.close()
        raise
    return file
