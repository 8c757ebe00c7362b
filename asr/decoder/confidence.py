"""Calibration of word confidences: of the words with a confidence of 0.8, eight of ten are right.

The decoder's own confidences have a systematic error. Two numbers in the model's config.json
correct it (Platt 1999, "Probabilistic outputs for support vector machines"). `rill evaluate
--calibrate` fits them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr.errors import ModelError

MIN_PROBABILITY = 1e-4  # of a logarithm's argument


@dataclass(frozen=True)
class Calibration:
    """Log odds of being right = slope * log odds of the decoder's own confidence + offset."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, confidence: float) -> float:
        """The calibrated confidence, 0 to 1."""
        if self == UNCHANGED:
            return confidence
        odds = self.slope * log_odds(confidence) + self.offset
        return 0.5 + 0.5 * math.tanh(odds / 2)  # the logistic function, without overflow


UNCHANGED = Calibration()


def log_odds(probability: float) -> float:
    """log(p / (1 - p)), finite for 0 and 1 too: probabilities are clipped."""
    inside = min(max(probability, MIN_PROBABILITY), 1 - MIN_PROBABILITY)
    return math.log(inside / (1 - inside))


def read_calibration(config: Mapping[str, Any]) -> Calibration:
    """The calibration in a model's config.json, or `UNCHANGED` where it has none.

    Raises:
        ModelError: it is not two numbers.
    """
    settings = config.get("confidence", {})
    try:
        return Calibration(**{name: float(value) for name, value in settings.items()})
    except (AttributeError, TypeError, ValueError):
        raise ModelError(
            f"config.json: confidence is {settings}; expected a slope and an offset, which "
            "rill evaluate --calibrate writes"
        ) from None
