"""Speech that nobody has said: sentences read by invented voices, as a corpus to train on.

Each utterance has a voice of its own: two of the synthesiser's voices mixed by chance, at a speed
of its own. Everything random is drawn from (seed, number of the utterance), so that a run which was
cut off goes on where it was, and more hours later begin with the same ones.
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

WORDS = (3, 22)  # of a sentence that is spoken
SPEEDS = (0.8, 1.3)
NATIVE = ("a", "b")  # first letters of the voices that learnt English; others have an accent
NATIVE_SHARE = 0.8
PEAK = 0.9  # of a recording that would be louder


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
    """Speak sentences, chosen by chance, until there are so many hours of them.

    Writes `VOICES/NUMBER.flac` with `NUMBER.txt` beside it, which is one of the layouts that
    `rill prepare corpus` reads. What is there already counts and is not made again.

    Args:
        texts: a sentence a line, plain or .xz.
        weights: kokoro-v1.0.int8.onnx.
        voices: .npz, see `training.synthesis.kokoro.read_voices`.
        progress: told how many hours there are, utterance by utterance.

    Returns:
        The hours that there are.

    Raises:
        DataError: no sentence of 3 to 22 words; weights or voices that cannot be used.
    """
    names, sentences = sorted(read_voices(voices)), _sentences(texts)
    speak = partial(_speak, Path(output), str(weights), str(voices))
    step, done = 8 * workers, 0.0
    with ProcessPoolExecutor(workers) as pool:
        for first in count(step=step):
            some = [_plan(names, sentences, seed, first + k) for k in range(step)]
            for seconds in pool.map(speak, some):
                done += seconds / 3600
                if progress:
                    progress(done)
            if done >= hours:
                return done
    raise AssertionError("there is always another utterance")


class Plan(NamedTuple):
    """What one utterance shall be."""

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
    fewest, most = WORDS
    found = [
        sentence
        for text in texts
        for sentence in read_sentences(text)
        if fewest <= len(sentence.split()) <= most
    ]
    if not found:
        raise DataError(f"no sentence of {fewest} to {most} words in the texts")
    return found


def _speak(output: Path, weights: str, voices: str, plan: Plan) -> float:
    """Seconds of one utterance, which is there afterwards."""
    first, second = plan.voices
    transcript = output / f"{first}-{second}" / f"{plan.number:06d}.txt"
    recording = transcript.with_suffix(".flac")
    if transcript.exists():
        return float(soundfile.info(recording).duration)
    kokoro, styles = _synthesiser(weights, voices)
    voice = plan.share * styles[first] + (1 - plan.share) * styles[second]
    sound = kokoro.speak(f"{plan.sentence}.", voice, plan.speed)
    sound *= min(1, PEAK / max(np.abs(sound).max(), 1e-9))
    transcript.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(recording, sound, SAMPLE_RATE)
    part = transcript.with_suffix(".part")  # a transcript stands for a recording that is whole
    part.write_text(plan.sentence + "\n")
    os.replace(part, transcript)
    return len(sound) / SAMPLE_RATE


@lru_cache(1)
def _synthesiser(weights: str, voices: str) -> tuple[Kokoro, dict[str, np.ndarray]]:
    import torch

    torch.set_num_threads(1)
    return Kokoro(weights), read_voices(voices)
