"""Speech without pauses, made of a recording: for tests of long utterances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asr.audio import SAMPLE_RATE, Samples

FRAME_SAMPLES = SAMPLE_RATE // 100
LONGEST_PAUSE_FRAMES = 8
QUIET_SHARE = 0.05  # of the loud frames' level


def without_pauses(speech: Samples) -> Samples:
    """The recording with at most 80 ms of each pause."""
    frames = speech[: len(speech) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    levels = np.sqrt((frames**2).mean(1))
    quiet = levels < QUIET_SHARE * np.percentile(levels, 95)
    kept, run = [], 0
    for frame, is_quiet in zip(frames, quiet, strict=True):
        run = run + 1 if is_quiet else 0
        if run <= LONGEST_PAUSE_FRAMES:
            kept.append(frame)
    return np.concatenate(kept)


def joined(recordings: Sequence[Samples]) -> Samples:
    """The recordings one after another, without pauses and at one level."""
    return np.concatenate([0.5 * s / np.abs(s).max() for s in map(without_pauses, recordings)])


def continuous(speech: Samples, seconds: float, skip_seconds: float = 0.0) -> Samples:
    """So many seconds of it, again and again, from a place in it on."""
    samples = without_pauses(speech)
    start, length = round(skip_seconds * SAMPLE_RATE), round(seconds * SAMPLE_RATE)
    return np.resize(np.roll(samples, -start), length)
