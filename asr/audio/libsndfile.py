"""Files that libsndfile decodes: WAV, AIFF, AU, CAF and W64."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import soundfile

from asr.audio.containers.mpeg_frames import skip_tags
from asr.audio.containers.wav_chunks import UNTIL_IT_ENDS
from asr.audio.ffmpeg import Decoded
from asr.errors import AudioError

# libsndfile's note on the part that holds the sound: of WAV, AIFF, AU, and W64.
_SIZE_THAT_IS_NOT_THERE = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_NO_LENGTH = 2**40


def reads(file: IO[bytes]) -> bool:
    """Whether libsndfile can open a file."""
    try:
        with _opened(file):
            return True
    except soundfile.LibsndfileError:
        return False


def decode(file: IO[bytes], name: str, block_seconds: float) -> Iterator[Decoded]:
    """The sound of a file that it `reads`, in pieces.

    Raises:
        AudioError: behind the last piece, for damage, truncation, and no samples.
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
    """Seconds of sound as the header tells, at most what is there."""
    with _opened(file) as sound:
        return float(sound.frames / sound.samplerate)


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[soundfile.SoundFile]:
    with soundfile.SoundFile(cast(Any, _Bytes(file, skip_tags(file)))) as sound:
        yield sound


class _Bytes:
    """A file as libsndfile wants it: what a damaged header leads to must not raise; and without the
    tags before it, which libsndfile takes for a part of the sound's size."""

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
        except (ValueError, OSError):  # before the begin: soundfile writes it to standard error
            return self.tell()


def _check_complete(sound: soundfile.SoundFile, frames_read: int, name: str) -> None:
    """Tell what ended before its own header says; libsndfile often does not."""
    if frames_read < sound.frames < _NO_LENGTH:
        raise AudioError(
            f"{name}: truncated: its header promises {sound.frames / sound.samplerate:.1f} s, "
            f"it holds {frames_read / sound.samplerate:.1f} s. Copy it again from its source"
        )
    cut = _SIZE_THAT_IS_NOT_THERE.search(sound.extra_info)
    if cut and int(cut[2]) < int(cut[1]) < UNTIL_IT_ENDS:
        raise AudioError(
            f"{name}: truncated: its header promises {cut[1]} bytes of sound, it holds {cut[2]}. "
            "Copy it again, or rewrite its header: ffmpeg -i in.wav out.wav"
        )


def _reason(error: soundfile.LibsndfileError) -> str:
    return (error.error_string or f"libsndfile error {error.code}").strip().rstrip(".")
