"""Files that libsndfile decodes: WAV, AIFF, AU, CAF and W64."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import soundfile

from asr.audio.containers.mpeg_frames import skip_tags
from asr.audio.containers.wav_chunks import UNKNOWN_SIZE
from asr.audio.ffmpeg import Decoded
from asr.errors import AudioError

# libsndfile's log line on the chunk that holds the sound, for WAV, AIFF, AU and W64.
_SIZE_BEYOND_THE_FILE = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_UNKNOWN_FRAMES = 2**40


def can_read(file: IO[bytes]) -> bool:
    """Whether libsndfile can open a file."""
    try:
        with _opened(file):
            return True
    except soundfile.LibsndfileError:
        return False


def decode(file: IO[bytes], name: str, block_seconds: float) -> Iterator[Decoded]:
    """Decode a file that `can_read` accepts, in blocks of `block_seconds`.

    Raises:
        AudioError: after the last block, for damage, truncation, and no samples.
    """
    with _opened(file) as sound:
        block_frames = max(1, int(block_seconds * sound.samplerate))
        frames_read = 0
        while True:
            try:
                block = sound.read(block_frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(
                    f"{name}: damaged or truncated after {frames_read / sound.samplerate:.1f} s "
                    f"({_reason(error)}). Copy it again from its source"
                ) from None
            if not len(block):
                break
            frames_read += len(block)
            yield Decoded(sound.samplerate, block)
        if not frames_read:
            raise AudioError(f"{name}: holds no samples. Nothing was recorded, or the file is cut")
        _check_complete(sound, frames_read, name)


def header_seconds(file: IO[bytes]) -> float:
    """Duration in seconds from the header, limited to the samples that are there."""
    with _opened(file) as sound:
        return float(sound.frames / sound.samplerate)


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[soundfile.SoundFile]:
    with soundfile.SoundFile(cast(Any, _Bytes(file, skip_tags(file)))) as sound:
        yield sound


class _Bytes:
    """A file for libsndfile, without the tags before it.

    libsndfile would count the tags as a part of the sound. A seek to a negative place, which a
    damaged header causes, does not raise.
    """

    def __init__(self, file: IO[bytes], starts: int) -> None:
        self._file, self._starts = file, starts
        self.read = file.read
        file.seek(starts)

    def tell(self) -> int:
        return self._file.tell() - self._starts

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            starts = self._starts if whence == os.SEEK_SET else 0
            return self._file.seek(starts + offset, whence) - self._starts
        except (ValueError, OSError):  # soundfile would write the exception to standard error
            return self.tell()


def _check_complete(sound: soundfile.SoundFile, frames_read: int, name: str) -> None:
    """Raise AudioError for a file shorter than its header declares; libsndfile often does not."""
    if frames_read < sound.frames < _UNKNOWN_FRAMES:
        raise AudioError(
            f"{name}: truncated: its header declares {sound.frames / sound.samplerate:.1f} s, "
            f"it holds {frames_read / sound.samplerate:.1f} s. Copy it again from its source"
        )
    cut = _SIZE_BEYOND_THE_FILE.search(sound.extra_info)
    if cut and int(cut[2]) < int(cut[1]) < UNKNOWN_SIZE:
        raise AudioError(
            f"{name}: truncated: its header declares {cut[1]} bytes of sound, it holds {cut[2]}. "
            "Copy it again, or rewrite its header: ffmpeg -i in.wav out.wav"
        )


def _reason(error: soundfile.LibsndfileError) -> str:
    return (error.error_string or f"libsndfile error {error.code}").strip().rstrip(".")
