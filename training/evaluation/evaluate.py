"""Word error rates of a recogniser on speech that it has not seen: `rill evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asr.acoustic.types import Mode
from asr.audio import Samples, read_audio
from asr.batch.progress import progress_bar
from asr.decoder.confidence import Calibration
from asr.decoder.types import decode
from asr.errors import AudioError, DataError
from asr.recognizer import Recognizer
from asr.transcript import Word
from training.data.augmented_copies import vary
from training.data.corpora import Utterance, find_corpus
from training.evaluation.confidence import (
    Reliability,
    calibrated,
    fit_calibration,
    judged,
    reliability,
)
from training.evaluation.error_rates import ErrorRates, Reading, error_rates
from training.evaluation.word_times import TimesJudge, WordTimes
from training.run.config import CopyConfig

TOGETHER = "all"


@dataclass(frozen=True)
class Evaluation:
    """A corpus read by a recogniser."""

    readings: list[Reading]
    parts: dict[str, list[Reading]]  # by name; with `all` last when there are several
    left_out: list[tuple[str, str]]  # (utterance, reason)
    times: WordTimes | None = None

    def reliability(self) -> Reliability | None:
        """Of the confidences of all words heard; None when there are none."""
        sure, right = judged(self.readings)
        return reliability(sure, right) if len(sure) else None

    def rates(self) -> list[ErrorRates]:
        """Of each part."""
        return [error_rates(part, readings) for part, readings in self.parts.items()]

    def rates_by_speaker(self) -> list[ErrorRates]:
        """Of each speaker, the worst first."""
        speakers: dict[str, list[Reading]] = {}
        for reading in self.readings:
            speakers.setdefault(reading.speaker, []).append(reading)
        rates = [error_rates(speaker, readings) for speaker, readings in speakers.items()]
        return sorted(rates, key=lambda rate: -rate.wer)

    def worst_first(self) -> list[Reading]:
        """The readings in order of their share of wrong words."""
        return sorted(self.readings, key=lambda r: (-r.errors / r.words, -r.errors, r.id))

    def confusions(self) -> Counter[tuple[str, str]]:
        """How often which word was taken for which; an empty word: deleted or inserted."""
        return Counter(
            (said, heard)
            for reading in self.readings
            for kind, said, heard in reading.alignment
            if kind != "equal"
        )


def evaluate_corpus(
    recognizer: Recognizer,
    folder: str | Path,
    mode: Mode,
    separate: Sequence[str] = (),
    times: bool = False,
    every: int = 1,
    change: CopyConfig | None = None,
) -> Evaluation:
    """Read a corpus in one of the layouts of training/data/layouts.py.

    Args:
        separate: speakers who make a part each; the others together are the part `read`.
        times: also compare word times with a forced alignment (needs torchaudio).
        every: take every so many-th utterance.
        change: do this to the sound before it is heard (training/data/augmented_copies.py).

    Raises:
        ConfigError: times of a decoder without a lexicon.
        DataError: nothing in the corpus can be used, or it has no such speaker.
    """
    corpus = find_corpus(folder)
    missing = set(separate) - {utterance.speaker for utterance in corpus.utterances}
    if missing:
        raise DataError(f"{folder}: no speaker {', '.join(sorted(missing))} to report apart")
    recognised = recognise(recognizer, mode)
    judge = TimesJudge(recognizer, mode) if times else None
    readings, left_out = [], list(corpus.left_out)
    chosen = corpus.utterances[::every]
    with progress_bar([utterance.audio for utterance in chosen]) as progress:
        for number, utterance in enumerate(chosen):
            try:
                readings.append(read_utterance(recognised, utterance, change, number))
            except AudioError as error:
                left_out.append((utterance.id, f"unreadable audio: {error}"))
                continue
            progress.advance(utterance.audio, utterance.seconds)
            if judge:
                samples = changed_sound(utterance, change, number)
                told = readings[-1]
                judge.compare(samples, utterance.text, told.heard, told.alignment)
    if not readings:
        raise DataError(f"{folder}: not one recording of the corpus could be read")
    parts = in_parts(readings, separate)
    return Evaluation(readings, parts, left_out, judge.found if judge else None)


def read_utterance(
    recognise: Callable[[Samples], Sequence[Word]],
    utterance: Utterance,
    change: CopyConfig | None,
    number: int,
) -> Reading:
    """What is recognised of an utterance.

    Args:
        change: is done to its sound first, with randomness seeded by `number`.

    Raises:
        AudioError: the recording cannot be read.
    """
    heard = recognise(changed_sound(utterance, change, number))
    hypothesis = " ".join(word.word for word in heard)
    told = (utterance.id, utterance.speaker, utterance.seconds, utterance.text, hypothesis)
    return Reading(*told, tuple(heard))


def changed_sound(utterance: Utterance, change: CopyConfig | None, number: int) -> Samples:
    """The recording of an utterance, float32 [samples] at 16 kHz, after `change`.

    Raises AudioError when it cannot be read.
    """
    samples = read_audio(utterance.audio)
    if change is None:
        return samples
    return vary(samples, change, np.random.default_rng((change.seed, number)))


def in_parts(readings: list[Reading], separate: Sequence[str]) -> dict[str, list[Reading]]:
    """Readings by part, and all together when there are several parts."""
    parts: dict[str, list[Reading]] = {}
    for reading in readings:
        part = reading.speaker if reading.speaker in separate else "read"
        parts.setdefault(part, []).append(reading)
    if len(parts) > 1:
        parts[TOGETHER] = readings
    return parts


def recognise(recognizer: Recognizer, mode: Mode) -> Callable[[Samples], Sequence[Word]]:
    """What gives the words of an utterance, as one segment in streaming mode."""
    if mode == "offline":
        return lambda samples: recognizer.transcribe(samples).words
    # One utterance is one segment here: the endpointer belongs to the stream, not to the model.
    return lambda samples: decode(recognizer.decoder, recognizer.emission(samples, "streaming"))


def calibrate_confidences(
    evaluation: Evaluation,
) -> tuple[Calibration, Reliability, Evaluation]:
    """Fit on every second utterance.

    Returns:
        The calibration; how reliable the other utterances' confidences were without it; and the
        evaluation of those others, with it.

    Raises:
        DataError: too few words to fit.
    """
    fitted, others = evaluation.readings[::2], evaluation.readings[1::2]
    calibration = fit_calibration(*judged(fitted))
    before = reliability(*judged(others))
    changed = {reading.id: calibrated(reading, calibration) for reading in others}
    parts = {
        part: [changed[reading.id] for reading in readings if reading.id in changed]
        for part, readings in evaluation.parts.items()
    }
    kept = {part: readings for part, readings in parts.items() if readings}
    return (
        calibration,
        before,
        replace(evaluation, readings=list(changed.values()), parts=kept),
    )
