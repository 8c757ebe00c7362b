"""Finds a microphone that gives nothing but silence. Pure computation."""

from __future__ import annotations

from typing import Literal

import numpy as np

SILENT_PEAK = 1e-3  # -60 dB
SILENT_FROM_START_SECONDS = 4.0
SILENT_SECONDS = 30.0  # later: a noise gate makes pauses silent

Change = Literal["silent", "sound"]


class SilenceWatch:
    """Reports one silence of a connection, and the sound that ends it."""

    def __init__(self, sample_rate: float) -> None:
        self._rate = sample_rate
        self._silent_samples = 0
        self._has_sound = self._is_reported = self._is_over = False

    def push(self, samples: np.ndarray) -> Change | None:
        """Take a block, float32 [samples, channels].

        Returns:
            "silent" when no channel was louder than -60 dB for 4 s from the start or 30 s later,
            "sound" at the first sound after that; each once.
        """
        # A constant offset is no sound.
        if len(samples) and float(np.ptp(samples, axis=0).max()) > 2 * SILENT_PEAK:
            self._silent_samples, self._has_sound = 0, True
        else:
            self._silent_samples += len(samples)
        if self._is_reported:
            if self._is_over or self._silent_samples:
                return None
            self._is_over = True
            return "sound"
        allowed = SILENT_SECONDS if self._has_sound else SILENT_FROM_START_SECONDS
        if self._silent_samples < allowed * self._rate:
            return None
        self._is_reported = True
        return "silent"
