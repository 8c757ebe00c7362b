"""Whether confidences mean what they say, and the two numbers that make them
(asr/decoder/confidence.py).

A word is right when the alignment of what was heard with what was said has it as equal.
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
    from training.evaluation.error_rates import Reading

BINS = 10
FEWEST_WORDS = 50  # right and wrong together, to fit two numbers
NEWTON_STEPS = 50  # none longer than 1, or they may leap too far


@dataclass(frozen=True)
class Reliability:
    """Confidences in bins of equal width (Guo et al. 2017, arXiv 1706.04599)."""

    words: int
    error: float  # expected calibration error: mean distance of confidence and share of right words
    separation: float  # chance that a right word has the higher confidence than a wrong one
    bins: tuple[tuple[float, float, int], ...]  # mean confidence, share right, words of each

    def line(self) -> str:
        """For people."""
        return (
            f"confidences: expected calibration error {self.error:.3f} ({self.words} words, {BINS} "
            f"bins); a right word has the higher one in {100 * self.separation:.0f} % of pairs"
        )


def judged(readings: Sequence[Reading]) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of all words heard, and whether each is right: [words] both."""
    sure, right = [], []
    for reading in readings:
        of_words = iter(reading.heard)
        for kind, _, heard in reading.alignment:
            if heard:
                sure.append(next(of_words).confidence)
                right.append(kind == "equal")
    return np.array(sure), np.array(right, bool)


def reliability(sure: np.ndarray, right: np.ndarray) -> Reliability:
    """How well confidences tell the share of right words; both [words]."""
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = []
    for number in range(BINS):
        inside = place == number
        if inside.any():
            bins.append(
                (float(sure[inside].mean()), float(right[inside].mean()), int(inside.sum()))
            )
    error = sum(abs(mean - share) * count for mean, share, count in bins) / max(1, len(sure))
    return Reliability(len(sure), error, _separation(sure, right), tuple(bins))


def fit_calibration(sure: np.ndarray, right: np.ndarray) -> Calibration:
    """The calibration under which these words are likeliest: logistic regression, by Newton's
    method.

    Raises:
        DataError: too few words, or all of them right or all wrong.
    """
    if len(sure) < FEWEST_WORDS or right.all() or not right.any():
        raise DataError(
            f"{len(sure)} words heard, {int(right.sum())} of them right: too few to calibrate "
            f"confidences; at least {FEWEST_WORDS} are needed, right and wrong ones"
        )
    inputs = np.stack([[log_odds(value) for value in sure], np.ones(len(sure))], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(NEWTON_STEPS):
        told = 0.5 + 0.5 * np.tanh(inputs @ weights / 2)
        gradient = inputs.T @ (right - told) - 1e-3 * weights
        curvature = (inputs.T * (told * (1 - told))) @ inputs + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step / max(1.0, float(np.abs(step).max()))
    return Calibration(*(round(float(weight), 4) for weight in weights))


def calibrated(reading: Reading, calibration: Calibration) -> Reading:
    """The reading with the confidences of its words changed."""
    heard = tuple(replace(w, confidence=calibration(w.confidence)) for w in reading.heard)
    return replace(reading, heard=heard)


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


def _separation(sure: np.ndarray, right: np.ndarray) -> float:
    """Area under the receiver operating characteristic, by ranks (Mann and Whitney); ties count
    half."""
    if right.all() or not right.any():
        return 0.5
    wrong = np.sort(sure[~right])
    below = np.searchsorted(wrong, sure[right], "left")
    not_above = np.searchsorted(wrong, sure[right], "right")
    return float((below + not_above).mean() / 2 / len(wrong))
