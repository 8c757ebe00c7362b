"""How well a model does on speech that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jiwer
import torch
from rapidfuzz.distance import Levenshtein

from asr.acoustic_model import AcousticModel, Mode
from asr.audio import read_audio
from asr.recognizer import Recognizer
from training.batches import Batches
from training.corpora import find_librispeech

MODES: tuple[Mode, ...] = ("streaming", "full")


@torch.no_grad()
def token_errors(
    model: AcousticModel, batches: Batches, utterances: int | None = None
) -> dict[str, dict[str, float]]:
    """Greedy phone and letter error rates (per cent) by mode, on a spread of the corpus.

    Utterances with a word that the lexicon lacks count for letters alone.
    """
    total = len(batches.cache)
    wanted = min(utterances or total, total)
    chosen = {round(k * total / wanted) for k in range(wanted)}
    results: dict[str, dict[str, float]] = {}
    for mode in MODES:
        wrong, reference = [0, 0], [0, 0]
        for number, indices in enumerate(batches.epoch(0)):
            indices = [index for index in indices if index in chosen]
            if not indices:
                continue
            batch = batches.load(indices, 0, number)
            emission, steps = model(batch.frames, batch.frame_lengths, mode)
            for kind, targets in enumerate((batch.phones, batch.letters)):
                best = emission[kind].argmax(-1)
                for row, target in enumerate(targets):
                    if target:
                        path = best[row, : steps[row]].unique_consecutive()
                        wrong[kind] += Levenshtein.distance(path[path != 0].tolist(), target)
                        reference[kind] += len(target)
        results[mode] = {
            name: round(100 * wrong[kind] / max(1, reference[kind]), 2)
            for kind, name in enumerate(("phones", "letters"))
        }
    return results


@dataclass(frozen=True)
class ErrorRates:
    """Word and character error rates of one part of a corpus, per cent."""

    part: str
    utterances: int
    words: int
    wer: float
    cer: float
    substitutions: int
    deletions: int
    insertions: int

    def line(self) -> str:
        """For people."""
        return (
            f"{self.part}: WER {self.wer:.1f} %, CER {self.cer:.1f} % ({self.utterances} "
            f"utterances, {self.words} words; {self.substitutions} substituted, "
            f"{self.deletions} deleted, {self.insertions} inserted)"
        )


def evaluate_corpus(
    recognizer: Recognizer, folder: str | Path, mode: Mode, separate: list[str]
) -> list[str]:
    """Lines with the error rates of a corpus in LibriSpeech's layout: the speakers named in
    `separate` each apart, the others together as `read`, then all of them.

    Raises:
        DataError: the corpus cannot be used.
    """
    corpus = find_librispeech(folder)
    read = _reader(recognizer, mode)
    parts: dict[str, list[tuple[str, str]]] = {}
    for utterance in corpus.utterances:
        part = utterance.speaker if utterance.speaker in separate else "read"
        pair = (utterance.text, read(utterance.audio))
        parts.setdefault(part, []).append(pair)
    if len(parts) > 1:
        parts["all"] = [pair for pairs in parts.values() for pair in pairs]
    return [error_rates(part, pairs).line() for part, pairs in parts.items()]


def error_rates(part: str, pairs: list[tuple[str, str]]) -> ErrorRates:
    """Error rates over (reference, hypothesis) pairs of normalised text."""
    references, hypotheses = ([pair[side] for pair in pairs] for side in (0, 1))
    words = jiwer.process_words(references, hypotheses)
    return ErrorRates(
        part,
        len(pairs),
        sum(len(reference.split()) for reference in references),
        100 * words.wer,
        100 * float(jiwer.cer(references, hypotheses)),
        words.substitutions,
        words.deletions,
        words.insertions,
    )


def _reader(recognizer: Recognizer, mode: Mode) -> Callable[[str], str]:
    if mode == "full":
        return lambda audio: recognizer.transcribe(audio).text

    @torch.inference_mode()
    def read_streaming(audio: str) -> str:
        # One utterance is one segment here: the endpointer belongs to the stream, not to the model.
        state, emission = recognizer.step(recognizer.initial_state(), read_audio(audio))
        decoding = recognizer.decoder.begin()
        decoding.push(emission)
        decoding.push(recognizer.finish(state))
        return " ".join(word.word for word in decoding.words(finished=True))

    return read_streaming
