"""Word error rates of a recogniser on a corpus: `rill evaluate`."""

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
from training.corpora.corpus import Utterance, find_corpus
from training.data.augmented_copies import change_sound
from training.data.copy_config import CopyConfig
from training.evaluation.confidence import (
    Reliability,
    calibrated,
    fit_calibration,
    reliability,
    word_confidences,
)
from training.evaluation.error_rates import ErrorRates, UtteranceResult, error_rates
from training.evaluation.word_times import TimesJudge, WordTimes

TOGETHER = "all"


@dataclass(frozen=True)
class Evaluation:
    """The results of a recogniser on a corpus."""

    results: list[UtteranceResult]
    parts: dict[str, list[UtteranceResult]]  # by name; with `all` last when there are several
    left_out: list[tuple[str, str]]  # (utterance, reason)
    times: WordTimes | None = None

    def reliability(self) -> Reliability | None:
        """Of the confidences of all recognised words; None if there are none."""
        confidences, right = word_confidences(self.results)
        return reliability(confidences, right) if len(confidences) else None

    def rates(self) -> list[ErrorRates]:
        """Of each part."""
        return [error_rates(part, results) for part, results in self.parts.items()]

    def rates_by_speaker(self) -> list[ErrorRates]:
        """Of each speaker, the worst first."""
        speakers: dict[str, list[UtteranceResult]] = {}
        for result in self.results:
            speakers.setdefault(result.speaker, []).append(result)
        rates = [error_rates(speaker, results) for speaker, results in speakers.items()]
        return sorted(rates, key=lambda rate: -rate.wer)

    def worst_first(self) -> list[UtteranceResult]:
        """The results, highest share of wrong words first."""
        return sorted(self.results, key=lambda r: (-r.errors / r.words, -r.errors, r.id))

    def confusions(self) -> Counter[tuple[str, str]]:
        """Counts of (reference word, recognised word); "" stands for an insertion or deletion."""
        return Counter(
            (said, recognised)
            for result in self.results
            for kind, said, recognised in result.alignment
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
    """Recognise a corpus in one of the layouts of training/corpora/layouts.py.

    Args:
        separate: speakers who are a part each; the others together are the part `read`.
        times: also compare word times with a forced alignment (needs torchaudio).
        every: take every N-th utterance.
        change: applied to the sound first (training/data/augmented_copies.py).

    Raises:
        ConfigError: `times` with a decoder that has no lexicon.
        DataError: the corpus has no usable utterance, or no such speaker.
    """
    corpus = find_corpus(folder)
    missing = set(separate) - {utterance.speaker for utterance in corpus.utterances}
    if missing:
        raise DataError(f"{folder}: no speaker {', '.join(sorted(missing))} to report apart")
    recognise = word_recogniser(recognizer, mode)
    judge = TimesJudge(recognizer, mode) if times else None
    results, left_out = [], list(corpus.left_out)
    chosen = corpus.utterances[::every]
    with progress_bar([utterance.audio for utterance in chosen]) as progress:
        for number, utterance in enumerate(chosen):
            try:
                results.append(recognise_utterance(recognise, utterance, change, number))
            except AudioError as error:
                left_out.append((utterance.id, f"unreadable audio: {error}"))
                continue
            progress.advance(utterance.audio, utterance.seconds)
            if judge:
                samples = changed_sound(utterance, change, number)
                result = results[-1]
                judge.compare(samples, utterance.text, result.recognised, result.alignment)
    if not results:
        raise DataError(f"{folder}: no recording of the corpus could be read")
    parts = results_by_part(results, separate)
    return Evaluation(results, parts, left_out, judge.found if judge else None)


def recognise_utterance(
    recognise: Callable[[Samples], Sequence[Word]],
    utterance: Utterance,
    change: CopyConfig | None,
    number: int,
) -> UtteranceResult:
    """Recognise one utterance.

    Args:
        change: applied to its sound first, with randomness seeded by `number`.

    Raises:
        AudioError: the recording cannot be read.
    """
    words = recognise(changed_sound(utterance, change, number))
    return UtteranceResult(
        utterance.id,
        utterance.speaker,
        utterance.seconds,
        utterance.text,
        " ".join(word.word for word in words),
        tuple(words),
    )


def changed_sound(utterance: Utterance, change: CopyConfig | None, number: int) -> Samples:
    """The recording of an utterance, float32 [samples] at 16 kHz, after `change`.

    Raises AudioError when it cannot be read.
    """
    samples = read_audio(utterance.audio)
    if change is None:
        return samples
    return change_sound(samples, change, np.random.default_rng((change.seed, number)))


def results_by_part(
    results: list[UtteranceResult], separate: Sequence[str]
) -> dict[str, list[UtteranceResult]]:
    """Results by part, and all together if there are several parts."""
    parts: dict[str, list[UtteranceResult]] = {}
    for result in results:
        part = result.speaker if result.speaker in separate else "read"
        parts.setdefault(part, []).append(result)
    if len(parts) > 1:
        parts[TOGETHER] = results
    return parts


def word_recogniser(recognizer: Recognizer, mode: Mode) -> Callable[[Samples], Sequence[Word]]:
    """A function from samples to words; in streaming mode an utterance is one segment."""
    if mode == "offline":
        return lambda samples: recognizer.transcribe(samples).words
    # The endpointer belongs to the stream, not to the model: it is not evaluated here.
    return lambda samples: decode(recognizer.decoder, recognizer.emission(samples, "streaming"))


def calibrate_confidences(
    evaluation: Evaluation,
) -> tuple[Calibration, Reliability, Evaluation]:
    """Fit a calibration on every second utterance.

    Returns:
        The calibration; the reliability of the other utterances without it; and the evaluation of
        those other utterances with it.

    Raises:
        DataError: too few words to fit.
    """
    fitted, others = evaluation.results[::2], evaluation.results[1::2]
    calibration = fit_calibration(*word_confidences(fitted))
    before = reliability(*word_confidences(others))
    changed = {result.id: calibrated(result, calibration) for result in others}
    parts = {
        part: [changed[result.id] for result in results if result.id in changed]
        for part, results in evaluation.parts.items()
    }
    kept = {part: results for part, results in parts.items() if results}
    return calibration, before, replace(evaluation, results=list(changed.values()), parts=kept)
