"""Recordings of noise as log-mel frames in one folder, for training: `rill prepare noise`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asr.audio import read_audio
from asr.batch.finding import find_recordings
from asr.errors import AudioError, DataError
from asr.features.log_mel import HOP_MS, MEL_BANDS, log_mel

FRAMES_FILE, OFFSETS_FILE = "noise.f16", "noise_offsets.npy"
MIN_FRAMES = 20  # shorter recordings are left out
SILENT = -18.0  # mean natural logarithm of band powers: a piece below it is silent


class NoiseBank:
    """Noise recordings that training draws pieces of; frames stay on disk."""

    def __init__(self, folder: str | Path) -> None:
        """Raises DataError when `write_noise_bank` has not written the folder."""
        folder = Path(folder)
        try:
            self._offsets = np.load(folder / OFFSETS_FILE)
            frames = np.memmap(folder / FRAMES_FILE, np.float16, "r").reshape(-1, MEL_BANDS)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder}: no noise in it ({error}); rill prepare noise makes it"
            ) from None
        if self._offsets[-1] != len(frames):
            raise DataError(f"{folder}: damaged; run rill prepare noise again")
        self._frames = frames

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def seconds(self) -> float:
        """Of all recordings together."""
        return len(self._frames) * HOP_MS / 1000

    def piece(self, length: int, random: np.random.Generator) -> np.ndarray:
        """float32 [length, 80] of one recording from a random moment on, repeated if short."""
        for _ in range(8):
            index = int(random.integers(len(self)))
            first, end = self._offsets[index : index + 2]
            start = first + int(random.integers(end - first))
            rows = self._frames[start : min(end, start + length)]
            if len(rows) < length:
                rows = np.concatenate([rows, self._frames[first:start]])
            piece = np.resize(rows, (length, MEL_BANDS)).astype(np.float32)
            if piece.mean() > SILENT:
                break
        return piece


def write_noise_bank(recordings: list[str], folder: str | Path) -> list[tuple[str, str]]:
    """Compute the frames of noise recordings, or of folders of them, into a folder.

    Returns:
        What is left out: (recording, reason).

    Raises:
        DataError: no recording can be used.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    offsets, left_out = [0], []
    with (folder / FRAMES_FILE).open("wb") as file:
        for place in find_recordings(recordings):
            try:
                frames = log_mel(read_audio(place)).astype(np.float16)
            except AudioError as error:
                left_out.append((place, str(error)))
                continue
            if len(frames) < MIN_FRAMES:
                left_out.append((place, "shorter than 0.2 s"))
                continue
            file.write(frames.tobytes())
            offsets.append(offsets[-1] + len(frames))
    if len(offsets) == 1:
        raise DataError(f"{folder}: no recording of noise could be used")
    np.save(folder / OFFSETS_FILE, np.array(offsets))
    return left_out
