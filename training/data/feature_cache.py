"""Log-mel frames of a whole corpus in one file, so that training decodes no audio.

A cache is a folder: `utterances.jsonl`, `frames.f16` (all frames one after another, float16
[frames, 80]) and `offsets.npy` (where each utterance starts, and the end). Other data by frame or
step lie beside it: teacher targets (training/teacher/posteriors.py) and augmented copies
(training/data/augmented_copies.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np

from asr.audio import read_audio
from asr.errors import AudioError, DataError
from asr.features.log_mel import MEL_BANDS, log_mel
from training.corpora.corpus import Corpus, Utterance, read_utterances, write_utterances

COPIES_FILE = "variants.f16"
FILES_OF_FRAMES = (
    COPIES_FILE,
    "encodings.f16",
    "posteriors.f16",
    "components.f16",
    "principal.npy",
)


class FeatureCache:
    """A cache opened for reading; frames stay on disk until they are requested."""

    def __init__(self, folder: str | Path) -> None:
        """Raises DataError when the folder is not a complete cache."""
        self.folder = Path(folder)
        self.utterances = read_utterances(self.folder / "utterances.jsonl")
        try:
            self.offsets = np.load(self.folder / "offsets.npy")
            frames = np.memmap(self.folder / "frames.f16", np.float16, "r")
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: incomplete ({error}); run rill prepare again") from None
        self._frames = frames.reshape(-1, MEL_BANDS)
        if len(self.offsets) != len(self.utterances) + 1 or self.offsets[-1] != len(self._frames):
            raise DataError(f"{folder}: its files do not fit together; run rill prepare again")

    def __len__(self) -> int:
        return len(self.utterances)

    def words(self) -> list[str]:
        """The words of all utterances, each once."""
        return list(dict.fromkeys(w for u in self.utterances for w in u.text.split()))

    def frames(self, index: int) -> np.ndarray:
        """float32 [frames, 80] of one utterance."""
        return self._frames[self.offsets[index] : self.offsets[index + 1]].astype(np.float32)

    @cached_property
    def copies(self) -> int:
        """How many augmented copies of each utterance the cache has (`rill prepare copies`)."""
        path = self.folder / COPIES_FILE
        if not path.exists():
            return 0
        size = path.stat().st_size
        if size % max(1, self._frames.nbytes):
            raise DataError(f"{path}: damaged; rill prepare copies makes it again")
        return size // self._frames.nbytes

    def copy_(self, index: int, copy: int) -> np.ndarray:
        """float32 [frames, 80] of one augmented copy of an utterance."""
        rows = self.offsets[index : index + 2] + copy * len(self._frames)
        return self._copies[rows[0] : rows[1]].astype(np.float32)

    @cached_property
    def _copies(self) -> np.ndarray:
        return np.memmap(self.folder / COPIES_FILE, np.float16, "r").reshape(-1, MEL_BANDS)

    def frame_counts(self) -> np.ndarray:
        """[utterances] number of frames."""
        return np.diff(self.offsets)

    def mean_and_deviation(self) -> tuple[np.ndarray, np.ndarray]:
        """[80] each, over every frame of the corpus."""
        chunks = [
            np.asarray(self._frames[start : start + 200_000], np.float64)
            for start in range(0, len(self._frames), 200_000)
        ]
        total = sum(len(chunk) for chunk in chunks)
        mean = sum(chunk.sum(0) for chunk in chunks) / total
        square = sum((chunk**2).sum(0) for chunk in chunks) / total
        return mean.astype(np.float32), np.sqrt(square - mean**2).astype(np.float32)


def write_feature_cache(
    corpus: Corpus,
    folder: str | Path,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> list[tuple[str, str]]:
    """Compute the features of a corpus into a folder.

    Damaged recordings are left out.

    Returns:
        What is left out, including what the corpus already leaves out: (utterance, reason).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Files of a corpus that was here before would not fit the new frames.
    for name in FILES_OF_FRAMES:
        (folder / name).unlink(missing_ok=True)
    kept: list[Utterance] = []
    left_out = list(corpus.left_out)
    offsets = [0]
    temporary = folder / "frames.f16.part"
    with ProcessPoolExecutor(workers) as pool, temporary.open("wb") as file:
        results = pool.map(_frames_or_reason, corpus.utterances, chunksize=32)
        for done, (utterance, result) in enumerate(zip(corpus.utterances, results), start=1):
            if isinstance(result, str):
                left_out.append((utterance.id, result))
            else:
                file.write(result.tobytes())
                kept.append(utterance)
                offsets.append(offsets[-1] + len(result))
            if progress:
                progress(done)
    if not kept:
        raise DataError(f"{folder}: no recording of the corpus could be read")
    os.replace(temporary, folder / "frames.f16")
    np.save(folder / "offsets.npy", np.array(offsets))
    write_utterances(kept, folder / "utterances.jsonl")
    lines = "".join(f"{name}\t{reason}\n" for name, reason in left_out)
    # File names need not be valid text.
    (folder / "left_out.tsv").write_text(lines, encoding="utf-8", errors="backslashreplace")
    return left_out


def _frames_or_reason(utterance: Utterance) -> np.ndarray | str:
    try:
        samples = read_audio(utterance.audio)
    except AudioError as error:
        return f"unreadable audio: {error}"
    return log_mel(samples).astype(np.float16)
