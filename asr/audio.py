"""Sound in: any recording that libsndfile reads, any rate, any channels, to 16 kHz mono float32.

`read_audio` gives a whole recording, `read_blocks` the same sound in pieces (bounded memory), and
`Resampler` turns samples that arrive in pieces to 16 kHz. Resampled in pieces or at once, the
samples are the same to the last bit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from math import gcd
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import soundfile
import soxr

from asr.errors import AudioError

SAMPLE_RATE = 16_000
LOWEST_SAMPLE_RATE = 4_000
HIGHEST_SAMPLE_RATE = 768_000
BLOCK_SECONDS = 10.0
# What a folder is searched for: the names of what libsndfile reads.
SOUND_SUFFIXES = frozenset(
    f".{name}"
    for name in ("wav", "flac", "ogg", "oga", "opus", "mp3", "aiff", "aif", "au", "caf", "w64")
)
# soxr's filter reaches back less than this; a restored resampler hears it again.
_HISTORY_SECONDS = 0.25

# libsndfile's note on the part that holds the sound: of WAV, AIFF, AU, and W64.
_SIZE_THAT_IS_NOT_THERE = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)

Samples = np.ndarray  # float32 [samples], 16 kHz mono, unless said otherwise


def read_audio(source: str | os.PathLike[str] | IO[bytes]) -> Samples:
    """A whole recording as float32 [samples] at 16 kHz, channels averaged.

    Args:
        source: a path, or an open binary file (with `seek`).

    Raises:
        AudioError: it is missing, a folder, empty, without samples, truncated, not sound, holds
            samples that are not numbers, or may not be read.
    """
    return np.concatenate(list(read_blocks(source)))


def read_blocks(
    source: str | os.PathLike[str] | IO[bytes],
    block_seconds: float = BLOCK_SECONDS,
    name: str | None = None,
) -> Iterator[Samples]:
    """The same samples as `read_audio`, in pieces of about `block_seconds`.

    Args:
        name: what errors call the source, if not by its own name.

    Raises:
        AudioError: as `read_audio`; for damage and truncation, when the reading gets there.
    """
    name = name or source_name(source)
    with _open(source, name) as sound:
        resampler = Resampler(sound.samplerate, name)
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
            yield resampler.push(block)
        if not frames_read:
            raise AudioError(f"{name}: holds no samples. Nothing was recorded, or the file is cut")
        yield resampler.finish()
        _check_complete(source, sound, frames_read, name)


def readable_part(blocks: Iterable[Samples], damage: list[AudioError]) -> Iterator[Samples]:
    """The blocks up to a damaged place; the error goes into `damage` instead of being raised, so
    that what was heard before it can be told first."""
    try:
        yield from blocks
    except AudioError as error:
        damage.append(error)


def duration_seconds(source: str | os.PathLike[str]) -> float:
    """Duration as the file's header tells it.

    Raises:
        AudioError: the file cannot be opened as sound.
    """
    with _open(source, source_name(source)) as sound:
        return sound.frames / sound.samplerate


def source_name(source: str | os.PathLike[str] | IO[bytes]) -> str:
    """What messages call a source."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)  # a temporary file's is a number
    return name if isinstance(name, str) else "standard input"


class Resampler:
    """Samples of any rate and channel count, in pieces of any length, to 16 kHz mono.

    What is carried is in the object; `state` gives it as plain values, and `from_state` goes on
    from there, in another process too (the filter is primed with the last 250 ms: equal to 1e-6).
    """

    def __init__(self, sample_rate: float, name: str = "sound") -> None:
        """Raises AudioError for a rate outside 4 to 768 kHz or a broken number of hertz."""
        if not LOWEST_SAMPLE_RATE <= sample_rate <= HIGHEST_SAMPLE_RATE or sample_rate % 1:
            raise AudioError(
                f"{name}: a sample rate of {sample_rate} Hz; give whole hertz from "
                f"{LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE}"
            )
        self.sample_rate = int(sample_rate)
        self.name = name
        self.samples_in = 0
        self.samples_out = 0
        self._drop = 0  # outputs of a restored resampler that were given out before
        self._primed = np.zeros(0, np.float32)  # outputs of the priming that were not
        self._recent: list[Samples] = []  # the last quarter second, and what came before it
        self._recent_samples = 0
        self._soxr = _new_soxr(self.sample_rate)

    def push(self, samples: np.ndarray) -> Samples:
        """The next piece: [samples] or [samples, channels], floats in -1..1 or signed integers.

        Raises:
            AudioError: wrong shape or type, or samples that are NaN or infinite.
        """
        mono = to_mono(samples, self.name)
        if not np.isfinite(mono).all():
            at = (self.samples_in + int(np.argmin(np.isfinite(mono)))) / self.sample_rate
            raise AudioError(
                f"{self.name}: a sample that is no number (NaN or infinite) at {at:.3f} s. "
                "Export it again as 16-bit WAV"
            )
        self.samples_in += len(mono)
        if self._soxr is None:
            self.samples_out += len(mono)
            return mono
        self._remember(mono)
        return self._given_out(self._soxr.resample_chunk(mono))

    def finish(self) -> Samples:
        """The samples that the filter still holds; the resampler is at its end after that."""
        if self._soxr is None:
            return np.zeros(0, np.float32)
        return self._given_out(self._soxr.resample_chunk(np.zeros(0, np.float32), last=True))

    def state(self) -> dict[str, Any]:
        """All that is carried, as numbers and one array."""
        return {
            "sample_rate": self.sample_rate,
            "samples_in": self.samples_in,
            "samples_out": self.samples_out,
            "history": self._history(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], name: str = "sound") -> Resampler:
        """A resampler that goes on where the one of `state` stood."""
        resampler = cls(state["sample_rate"], name)
        resampler.samples_in = int(state["samples_in"])
        resampler.samples_out = int(state["samples_out"])
        if resampler._soxr is not None:
            history = np.asarray(state["history"], np.float32)
            resampler._recent, resampler._recent_samples = [history], len(history)
            unit_in, unit_out = _ratio(resampler.sample_rate)
            primed_from = resampler.samples_in - len(history)  # a multiple of unit_in
            given_out = resampler.samples_out - primed_from // unit_in * unit_out
            primed = resampler._soxr.resample_chunk(history)
            resampler._drop = max(0, given_out - len(primed))
            resampler._primed = primed[given_out:]
        return resampler

    def _given_out(self, samples: Samples) -> Samples:
        dropped = min(self._drop, len(samples))
        self._drop -= dropped
        samples = np.concatenate([self._primed, samples[dropped:]])
        self._primed = self._primed[:0]
        self.samples_out += len(samples)
        return samples

    def _remember(self, mono: Samples) -> None:
        """Keep at least the last quarter second. It is put together when it is asked for, and when
        four times as much has come: so blocks are copied twice, however small they are."""
        self._recent.append(mono.copy())  # the caller may write into its own
        self._recent_samples += len(mono)
        if self._recent_samples > 4 * _HISTORY_SECONDS * self.sample_rate:
            history = self._history()
            self._recent, self._recent_samples = [history], len(history)

    def _history(self) -> Samples:
        """The last quarter second, from a sample on whose 16 kHz position is whole."""
        unit_in, _ = _ratio(self.sample_rate)
        recent = np.concatenate([np.zeros(0, np.float32), *self._recent])
        begins = self.samples_in - len(recent)
        keep_from = max(0, self.samples_in - int(_HISTORY_SECONDS * self.sample_rate))
        keep_from = max(begins, keep_from // unit_in * unit_in)
        return recent[keep_from - begins :].copy()


def to_mono(samples: np.ndarray, name: str = "sound") -> Samples:
    """[samples] or [samples, channels], floats or signed integers, to float32 [samples].

    Raises:
        AudioError: another shape, or values that are no numbers.
    """
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] == 0):
        raise AudioError(
            f"{name}: samples of shape {list(samples.shape)}; give [samples] or [samples, channels]"
        )
    if samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    elif samples.dtype.kind != "f":
        raise AudioError(
            f"{name}: samples of type {samples.dtype}; give floats in -1..1 or signed integers"
        )
    if samples.ndim == 2:
        # Only then, so that mono sound is not rounded again.
        samples = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return np.ascontiguousarray(samples, dtype=np.float32)


def _open(source: str | os.PathLike[str] | IO[bytes], name: str) -> soundfile.SoundFile:
    if isinstance(source, str | os.PathLike):
        _check_path(Path(source), name)
    try:
        # As bytes, for a name need not be UTF-8; on Windows names are text.
        if isinstance(source, str | os.PathLike) and os.name == "posix":
            return soundfile.SoundFile(os.fsencode(source))
        return soundfile.SoundFile(cast(Any, source))
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{name}: not a sound file that can be read ({_reason(error)}). "
            "WAV, FLAC, OGG, Opus and MP3 can be; convert it with ffmpeg"
        ) from None
    except OSError as error:
        raise AudioError(f"{name}: cannot be read: {error.strerror or error}") from None


def _check_path(path: Path, name: str) -> None:
    try:
        if path.is_dir():
            raise AudioError(f"{name}: is a folder, not a sound file")
        if path.exists() and not path.is_file():  # a look at it would take sound out of it
            raise AudioError(f"{name}: is a pipe or a device; give its sound to standard input (-)")
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError:
        raise AudioError(f"{name}: no such file") from None
    except PermissionError:
        raise AudioError(
            f"{name}: may not be read (permissions). chmod +r, or ask its owner"
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{name}: cannot be read: {getattr(error, 'strerror', error)}") from None
    if not first:
        raise AudioError(f"{name}: is empty (0 bytes)")


def _check_complete(source: Any, sound: soundfile.SoundFile, frames_read: int, name: str) -> None:
    """Tell what ended before its own header or container says; libsndfile often does not."""
    if frames_read < sound.frames < 2**40:
        raise AudioError(
            f"{name}: truncated: its header promises {sound.frames / sound.samplerate:.1f} s, "
            f"it holds {frames_read / sound.samplerate:.1f} s. Copy it again from its source"
        )
    cut = _SIZE_THAT_IS_NOT_THERE.search(sound.extra_info)
    # A WAV written into a pipe says 0x7FFFFFFF or 0xFFFFFFFF bytes: "until it ends".
    if cut and int(cut[2]) < int(cut[1]) < 0x7FFF_0000:
        raise AudioError(
            f"{name}: truncated: its header promises {cut[1]} bytes of sound, it holds {cut[2]}. "
            "Copy it again, or rewrite its header: ffmpeg -i in.wav out.wav"
        )
    if sound.format == "OGG" and not _ends_with_last_ogg_page(_tail(source)):
        raise AudioError(
            f"{name}: truncated: its last Ogg page is missing or cut. Copy it again from its source"
        )


def _tail(source: str | os.PathLike[str] | IO[bytes]) -> bytes:
    """The end of a file, with at least one Ogg page, which has at most 65,307 bytes."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return _tail(file)
    source.seek(max(0, source.seek(0, os.SEEK_END) - 70_000))
    return source.read()


def _ends_with_last_ogg_page(tail: bytes) -> bool:
    """Whether the end of a file holds the stream's last page, whole (RFC 3533, section 6)."""
    page = tail[max(0, tail.rfind(b"OggS")) :]
    is_last = page[:4] == b"OggS" and len(page) > 26 and page[5] & 4
    if not is_last:
        return False
    segment_count = page[26]
    segment_sizes = page[27 : 27 + segment_count]
    return len(page) >= 27 + segment_count + sum(segment_sizes)


def _reason(error: soundfile.LibsndfileError) -> str:
    return (error.error_string or f"libsndfile error {error.code}").strip().rstrip(".")


def _ratio(sample_rate: int) -> tuple[int, int]:
    """The smallest whole numbers of samples, in and out, that last equally long."""
    common = gcd(sample_rate, SAMPLE_RATE)
    return sample_rate // common, SAMPLE_RATE // common


def _new_soxr(sample_rate: int) -> soxr.ResampleStream | None:
    if sample_rate == SAMPLE_RATE:
        return None
    return soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")
