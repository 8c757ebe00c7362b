"""Word and character error rates of utterances, with bootstrap intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jiwer
import numpy as np

from asr.transcript import Word

RESAMPLINGS = 2000  # of the bootstrap


@dataclass(frozen=True)
class UtteranceResult:
    """One utterance: its reference and what was recognised (both normalised)."""

    id: str
    speaker: str
    seconds: float
    reference: str
    hypothesis: str
    recognised: tuple[Word, ...] = ()  # the hypothesis with times and confidences

    @cached_property
    def alignment(self) -> list[tuple[str, str, str]]:
        """(kind, reference word, recognised word) in order; kind is equal, substitute, delete or
        insert, and a missing word is empty."""
        output = jiwer.process_words(self.reference, self.hypothesis)
        reference, hypothesis = output.references[0], output.hypotheses[0]
        aligned = []
        for chunk in output.alignments[0]:
            said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
            recognised = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
            for k in range(max(len(said), len(recognised))):
                pair = ("".join(said[k : k + 1]), "".join(recognised[k : k + 1]))
                aligned.append((chunk.type, *pair))
        return aligned

    @property
    def words(self) -> int:
        """Words of the reference."""
        return len(self.reference.split())

    @property
    def errors(self) -> int:
        """Words substituted, deleted and inserted."""
        return sum(kind != "equal" for kind, _, _ in self.alignment)


@dataclass(frozen=True)
class ErrorRates:
    """Word and character error rates of a set of utterances, per cent."""

    part: str
    utterances: int
    words: int
    wer: float
    wer_interval: tuple[float, float]  # 95 % of the bootstrap over utterances
    cer: float
    substitutions: int
    deletions: int
    insertions: int

    def line(self) -> str:
        """For people."""
        low, high = self.wer_interval
        return (
            f"{self.part}: WER {self.wer:.1f} % ({low:.1f} to {high:.1f}), CER {self.cer:.1f} % "
            f"({self.utterances} utterances, {self.words} words; {self.substitutions} "
            f"substituted, {self.deletions} deleted, {self.insertions} inserted)"
        )


def error_rates(part: str, results: Sequence[UtteranceResult]) -> ErrorRates:
    """Error rates over all utterances of a part."""
    kinds = Counter(kind for result in results for kind, _, _ in result.alignment)
    words = np.array([result.words for result in results])
    errors = np.array([result.errors for result in results])
    cer = jiwer.cer([r.reference for r in results], [r.hypothesis for r in results])
    return ErrorRates(
        part,
        len(results),
        int(words.sum()),
        float(100 * errors.sum() / words.sum()),
        _bootstrap(errors, words),
        100 * float(cer),
        kinds["substitute"],
        kinds["delete"],
        kinds["insert"],
    )


def _bootstrap(errors: np.ndarray, words: np.ndarray) -> tuple[float, float]:
    """95 % interval of the word error rate: utterances drawn with replacement (Bisani and Ney
    2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation")."""
    drawn = np.random.default_rng(0).integers(0, len(errors), (RESAMPLINGS, len(errors)))
    low, high = np.quantile(100 * errors[drawn].sum(1) / words[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)
