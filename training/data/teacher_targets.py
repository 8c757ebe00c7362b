"""Teacher targets of a feature cache, opened for reading."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from asr.errors import DataError
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS
from training.data.feature_cache import FeatureCache

COMPONENTS = 128
POSTERIORS_WIDTH = len(PHONE_TOKENS) + len(LETTER_TOKENS)
STEP_FRAMES = 4  # frames of one row of targets


def has_teacher_targets(cache: FeatureCache) -> bool:
    """Whether the cache has teacher targets."""
    return (cache.folder / "posteriors.f16").exists()


class TeacherTargets:
    """Posteriors and components of the teacher for every step of a corpus."""

    def __init__(self, cache: FeatureCache) -> None:
        """Raises DataError when the cache has no teacher targets."""
        self.offsets = step_offsets(cache)
        rows = int(self.offsets[-1])
        self._posteriors = self._open(cache, "posteriors.f16", (rows, POSTERIORS_WIDTH))
        self._components = self._open(cache, "components.f16", (rows, COMPONENTS))

    def utterance(self, index: int) -> tuple[Tensor, Tensor]:
        """float32 [steps, phones + letters] posteriors and [steps, 128] components."""
        rows = slice(self.offsets[index], self.offsets[index + 1])
        return (
            torch.from_numpy(self._posteriors[rows].astype(np.float32)),
            torch.from_numpy(self._components[rows].astype(np.float32)),
        )

    @staticmethod
    def _open(cache: FeatureCache, name: str, shape: tuple[int, int]) -> np.ndarray:
        path = cache.folder / name
        try:
            return np.memmap(path, np.float16, "r", shape=shape)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: {error}; rill prepare teacher makes it") from None


def after_pause(targets: tuple[Tensor, Tensor], steps: int) -> tuple[Tensor, Tensor]:
    """The targets of an utterance after `steps` of silence: blanks, and the components of its
    first step."""
    posteriors, components = targets
    blanks = posteriors.new_zeros(steps, POSTERIORS_WIDTH)
    blanks[:, [0, len(PHONE_TOKENS)]] = 1  # token 0 of both alphabets
    return (
        torch.cat([blanks, posteriors]),
        torch.cat([components[:1].expand(steps, -1), components]),
    )


def step_offsets(cache: FeatureCache) -> np.ndarray:
    """[utterances + 1] first step of each utterance in the files of teacher targets."""
    steps = -(-cache.frame_counts() // STEP_FRAMES)
    return np.concatenate([[0], np.cumsum(steps)])
