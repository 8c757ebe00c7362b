"""How reliable confidences are, and the fit of their calibration (asr/decoder/confidence.py).

A word is right if the alignment of hypothesis and reference has it as equal.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from asr.decoder.confidence import Calibration, log_odds
from asr.errors import DataError

if TYPE_CHECKING:
    from training.evaluation.error_rates import UtteranceResult

BINS = 10
MIN_WORDS = 50  # right and wrong together, to fit two numbers
NEWTON_STEPS = 50  # each at most 1 long, so that they do not diverge


@dataclass(frozen=True)
class Reliability:
    """Confidences in bins of equal width (Guo et al. 2017, arXiv 1706.04599)."""

    words: int
    error: float  # expected calibration error: mean distance of confidence and share of right words
    separation: float  # probability that a right word has a higher confidence than a wrong one
    bins: tuple[tuple[float, float, int], ...]  # mean confidence, share right, words of each

    def line(self) -> str:
        """For people."""
        return (
            f"confidences: expected calibration error {self.error:.3f} ({self.words} words, {BINS} "
            f"bins); a right word has the higher one in {100 * self.separation:.0f} % of pairs"
        )


def word_confidences(results: Sequence[UtteranceResult]) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of all recognised words, and whether each word is right: [words] both."""
    confidences, right = [], []
    for result in results:
        words = iter(result.recognised)
        for kind, _, word in result.alignment:
            if word:
                confidences.append(next(words).confidence)
                right.append(kind == "equal")
    return np.array(confidences), np.array(right, bool)


def reliability(confidences: np.ndarray, right: np.ndarray) -> Reliability:
    """How well confidences match the share of right words; both [words]."""
    bin_of_word = np.minimum((confidences * BINS).astype(int), BINS - 1)
    bins = []
    for number in range(BINS):
        inside = bin_of_word == number
        if inside.any():
            mean, share = float(confidences[inside].mean()), float(right[inside].mean())
            bins.append((mean, share, int(inside.sum())))
    error = sum(abs(mean - share) * count for mean, share, count in bins) / max(1, len(confidences))
    return Reliability(len(confidences), error, _separation(confidences, right), tuple(bins))


def fit_calibration(confidences: np.ndarray, right: np.ndarray) -> Calibration:
    """The calibration of the highest likelihood: logistic regression, by Newton's method.

    Raises:
        DataError: too few words, or all of them right or all wrong.
    """
    if len(confidences) < MIN_WORDS or right.all() or not right.any():
        raise DataError(
            f"{len(confidences)} recognised words, {int(right.sum())} of them right: too few to "
            f"calibrate confidences; at least {MIN_WORDS} are needed, right and wrong ones"
        )
    odds = [log_odds(value) for value in confidences]
    inputs = np.stack([odds, np.ones(len(odds))], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(NEWTON_STEPS):
        predicted = 0.5 + 0.5 * np.tanh(inputs @ weights / 2)
        gradient = inputs.T @ (right - predicted) - 1e-3 * weights
        curvature = (inputs.T * (predicted * (1 - predicted))) @ inputs + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step / max(1.0, float(np.abs(step).max()))
    return Calibration(*(round(float(weight), 4) for weight in weights))


def calibrated(result: UtteranceResult, calibration: Calibration) -> UtteranceResult:
    """The result with calibrated confidences of its words."""
    words = (replace(w, confidence=calibration(w.confidence)) for w in result.recognised)
    return replace(result, recognised=tuple(words))


def reliability_picture(found: Reliability) -> str:
    """Confidence against the share of right words: an SVG picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#999", linewidth=1)
    means, shares, counts = zip(*found.bins) if found.bins else ((), (), ())
    axes.plot(means, shares, "o-", color="#5b8bd0")
    for mean, share, count in zip(means, shares, counts):
        axes.annotate(str(count), (mean, share), textcoords="offset points", xytext=(6, -10))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of right words")
    axes.set_title(f"Expected calibration error {found.error:.3f}", loc="left")
    picture = io.StringIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()[picture.getvalue().index("<svg") :]


def _separation(confidences: np.ndarray, right: np.ndarray) -> float:
    """Area under the receiver operating characteristic, by ranks (Mann and Whitney); ties count
    half."""
    if right.all() or not right.any():
        return 0.5
    wrong = np.sort(confidences[~right])
    below = np.searchsorted(wrong, confidences[right], "left")
    not_above = np.searchsorted(wrong, confidences[right], "right")
    return float((below + not_above).mean() / 2 / len(wrong))
