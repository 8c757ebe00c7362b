"""Synthetic speech as a corpus to train on: `rill prepare synthetic`.

Each utterance has its own speaker, a random mixture of two of the synthesiser's voices, at a random
speed. Everything random is drawn from (seed, number of the utterance), so that an interrupted run
resumes, and a longer corpus contains the shorter one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE
from asr.errors import DataError
from asr.text.sentences import read_sentences
from training.synthesis.kokoro import Kokoro, read_voices

MIN_WORDS, MAX_WORDS = 3, 22  # of a sentence
SPEEDS = (0.8, 1.3)
NATIVE = ("a", "b")  # first letters of native English voices; others have an accent
NATIVE_SHARE = 0.8
MAX_PEAK = 0.9  # louder recordings are attenuated


def write_synthetic_corpus(
    texts: Iterable[str | Path],
    output: str | Path,
    weights: str | Path,
    voices: str | Path,
    hours: float,
    seed: int = 1,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
) -> float:
    """Synthesise random sentences until there are `hours` hours of speech.

    Writes `VOICES/NUMBER.flac` with `NUMBER.txt` beside it, which is one of the layouts that
    `rill prepare corpus` reads. Existing recordings count and are kept.

    Args:
        texts: one sentence on each line, plain or .xz.
        weights: kokoro-v1.0.int8.onnx.
        voices: .npz, see `training.synthesis.kokoro.read_voices`.
        progress: called with the hours done after each utterance.

    Returns:
        The hours of speech in the corpus.

    Raises:
        DataError: no sentence of 3 to 22 words; unusable weights or voices.
    """
    names, sentences = sorted(read_voices(voices)), _sentences(texts)
    synthesise = partial(_synthesise, Path(output), str(weights), str(voices))
    step, done = 8 * workers, 0.0
    with ProcessPoolExecutor(workers) as pool:
        for first in count(step=step):
            plans = [_plan(names, sentences, seed, first + k) for k in range(step)]
            for seconds in pool.map(synthesise, plans):
                done += seconds / 3600
                if progress:
                    progress(done)
            if done >= hours:
                return done
    raise AssertionError("count() does not end")


class Plan(NamedTuple):
    """The random choices for one utterance."""

    number: int
    sentence: str
    voices: tuple[str, str]
    share: float  # of the first voice
    speed: float


def _plan(names: list[str], sentences: list[str], seed: int, number: int) -> Plan:
    random = np.random.default_rng((seed, number))
    native = [name for name in names if name.startswith(NATIVE)] or names
    first, second = (
        str(random.choice(native if random.random() < NATIVE_SHARE else names)) for _ in range(2)
    )
    sentence = sentences[random.integers(len(sentences))]
    return Plan(number, sentence, (first, second), random.uniform(), random.uniform(*SPEEDS))


def _sentences(texts: Iterable[str | Path]) -> list[str]:
    found = [
        sentence
        for text in texts
        for sentence in read_sentences(text)
        if MIN_WORDS <= len(sentence.split()) <= MAX_WORDS
    ]
    if not found:
        raise DataError(f"no sentence of {MIN_WORDS} to {MAX_WORDS} words in the texts")
    return found


def _synthesise(output: Path, weights: str, voices: str, plan: Plan) -> float:
    """Write one utterance if it is missing; returns its length in seconds."""
    first, second = plan.voices
    transcript = output / f"{first}-{second}" / f"{plan.number:06d}.txt"
    recording = transcript.with_suffix(".flac")
    if transcript.exists():
        return float(soundfile.info(recording).duration)
    kokoro, styles = _synthesiser(weights, voices)
    voice = plan.share * styles[first] + (1 - plan.share) * styles[second]
    sound = kokoro.speak(f"{plan.sentence}.", voice, plan.speed)
    sound *= min(1, MAX_PEAK / max(np.abs(sound).max(), 1e-9))
    transcript.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(recording, sound, SAMPLE_RATE)
    part = transcript.with_suffix(".part")  # the transcript marks a complete recording
    part.write_text(plan.sentence + "\n")
    os.replace(part, transcript)
    return len(sound) / SAMPLE_RATE


@lru_cache(1)
def _synthesiser(weights: str, voices: str) -> tuple[Kokoro, dict[str, np.ndarray]]:
    import torch

    torch.set_num_threads(1)
    return Kokoro(weights), read_voices(voices)
