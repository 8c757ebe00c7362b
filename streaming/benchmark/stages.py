"""The CPU time of each stage of a stream, measured alone on the chunks of a stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from asr.audio import SAMPLE_RATE, Resampler, Samples
from asr.features.log_mel import log_mel_step
from asr.recognizer import Recognizer
from streaming.benchmark.speed import stream_text

MICROPHONE_RATE = 48_000


@dataclass(frozen=True)
class Stages:
    """CPU seconds per second of audio."""

    per_second: dict[str, float]

    def line(self) -> str:
        """The shares as text."""
        whole = sum(self.per_second.values())
        shares = (f"{name} {100 * cpu / whole:.0f} %" for name, cpu in self.per_second.items())
        return ", ".join(shares)


def measure_stages(recognizer: Recognizer, sounds: Sequence[Samples], runs: int) -> Stages:
    """The median of the runs. `rest` is the remaining time of a stream: Python between the stages,
    endpoints, events.

    Args:
        sounds: float32 [samples] at 16 kHz each, of an utterance or a few.
    """
    measured = [_once(recognizer, sounds) for _ in range(runs)]
    seconds = sum(map(len, sounds)) / SAMPLE_RATE
    median = {name: float(np.median([one[name] for one in measured])) for name in measured[0]}
    rest = median.pop("whole") - sum(median.values())
    resample = float(np.median([_resampling(sounds) for _ in range(runs)]))
    cpu = {"resample from 48 kHz": resample, **median, "rest": max(0.0, rest)}
    return Stages({name: value / seconds for name, value in cpu.items()})


def _once(recognizer: Recognizer, sounds: Sequence[Samples]) -> Counter[str]:
    cpu: Counter[str] = Counter()
    for sound in sounds:
        state, decoding = recognizer.initial_state(), recognizer.decoder.start()
        carried, acoustic = state.samples, state.acoustic
        for start in range(0, len(sound), recognizer.chunk_samples):
            chunk = sound[start : start + recognizer.chunk_samples]
            with _timed(cpu, "log-mel"):
                carried, frames = log_mel_step(carried, chunk)
            with _timed(cpu, "network"):
                acoustic, emission = recognizer.engine.step(acoustic, frames)
            with _timed(cpu, "decoder"):
                decoding.push(emission)
                decoding.words()
        with _timed(cpu, "decoder"):
            decoding.words(finished=True)
        with _timed(cpu, "whole"):
            stream_text(recognizer, sound, second_pass=False)
    return cpu


def _resampling(sounds: Sequence[Samples]) -> float:
    cpu: Counter[str] = Counter()
    for sound in sounds:
        faster = np.repeat(
            sound, MICROPHONE_RATE // SAMPLE_RATE
        )  # the cost does not depend on the content
        resampler = Resampler(MICROPHONE_RATE)
        with _timed(cpu, "resample"):
            for block in np.array_split(faster, max(1, len(faster) // (MICROPHONE_RATE // 10))):
                resampler.push(block)
    return cpu["resample"]


@contextmanager
def _timed(cpu: Counter[str], stage: str) -> Iterator[None]:
    start = time.process_time()
    yield
    cpu[stage] += time.process_time() - start  # type: ignore[assignment]
