"""Confidences are measured against the share of right words, and calibrated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoder.confidence import UNCHANGED, Calibration, read_calibration
from asr.errors import DataError, ModelError
from asr.transcript import Word
from training.evaluation.confidence import fit_calibration, reliability, word_confidences
from training.evaluation.error_rates import UtteranceResult
from training.evaluation.evaluate import Evaluation, calibrate_confidences


def result(reference: str, *recognised: tuple[str, float], name: str = "u") -> UtteranceResult:
    words = tuple(Word(text, 0.0, 0.1, confidence) for text, confidence in recognised)
    return UtteranceResult(name, "s", 1.0, reference, " ".join(w.word for w in words), words)


def test_a_word_is_right_in_its_place() -> None:
    recognised = [("a", 0.9), ("x", 0.2), ("c", 0.8), ("d", 0.1)]
    confidences, right = word_confidences([result("a b c", *recognised)])
    assert confidences.tolist() == [0.9, 0.2, 0.8, 0.1]
    assert right.tolist() == [True, False, True, False]


def test_reliability_of_known_confidences() -> None:
    found = reliability(np.array([0.95] * 4 + [0.35] * 4), np.array([1, 1, 1, 0, 1, 0, 0, 0], bool))
    assert found.error == pytest.approx((4 * 0.2 + 4 * 0.1) / 8)
    assert found.bins == (pytest.approx((0.35, 0.25, 4)), pytest.approx((0.95, 0.75, 4)))
    assert found.separation == pytest.approx((3 * 3 + 1 * 3 * 0.5 + 3 * 0.5 * 1) / 16)


def test_calibration_recovers_a_known_distortion() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0.02, 0.98, 20_000)
    right = random.uniform(size=len(truth)) < truth
    distorted = 1 / (1 + np.exp(-(np.log(truth / (1 - truth)) - 1.2) / 0.7))
    found = fit_calibration(distorted, right)
    assert (found.slope, found.offset) == pytest.approx((0.7, 1.2), abs=0.1)
    assert reliability(np.array([found(value) for value in distorted]), right).error < 0.02
    assert reliability(distorted, right).error > 0.1


def test_it_is_fitted_on_every_second_utterance_and_measured_on_the_others() -> None:
    pairs = [("a", 0.3), ("b", 0.3), ("x", 0.1)]
    results = [result("a b c", *pairs, name=f"u{n}") for n in range(60)]
    evaluation = Evaluation(results, {"read": results}, [])
    _, before, others = calibrate_confidences(evaluation)
    after = others.reliability()
    assert after and after.error < 0.05 < before.error
    assert [r.id for r in others.results] == [f"u{n}" for n in range(1, 60, 2)]
    assert others.parts["read"] == others.results
    with pytest.raises(DataError, match="too few"):
        calibrate_confidences(Evaluation(results[:4], {"read": results[:4]}, []))


@given(confidence=st.floats(0, 1), slope=st.floats(0.01, 100), offset=st.floats(-100, 100))
def test_a_calibrated_confidence_is_one(confidence: float, slope: float, offset: float) -> None:
    assert 0 <= Calibration(slope, offset)(confidence) <= 1
    assert UNCHANGED(confidence) == confidence


def test_the_calibration_of_a_model() -> None:
    assert read_calibration({}) == UNCHANGED
    calibration = read_calibration({"confidence": {"slope": 2, "offset": -1}})
    assert math.isclose(calibration(0.5), 1 / (1 + math.e))
    for wrong in (3, {"slope": "x"}, {"tilt": 1}):
        with pytest.raises(ModelError, match="confidence is"):
            read_calibration({"confidence": wrong})
