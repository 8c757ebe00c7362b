"""Confidences that mean what they say: of words told with 0.8, eight of ten are right.

What the decoder finds by itself is too low or too high by a steady amount. Two numbers of the
model's config.json put it right (Platt 1999, "Probabilistic outputs for support vector machines");
`rill evaluate --calibrate` finds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr.errors import ModelError

LEAST = 1e-4  # of a probability whose logarithm is taken


@dataclass(frozen=True)
class Calibration:
    """log odds of being right = slope * log odds of the decoder's own confidence + offset."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, confidence: float) -> float:
        """The calibrated confidence, 0 to 1."""
        if self == UNCHANGED:
            return confidence
        odds = self.slope * log_odds(confidence) + self.offset
        return 0.5 + 0.5 * math.tanh(odds / 2)  # the logistic function, which cannot overflow so


UNCHANGED = Calibration()


def log_odds(probability: float) -> float:
    """log(p / (1 - p)), finite for 0 and 1 too."""
    inside = min(max(probability, LEAST), 1 - LEAST)
    return math.log(inside / (1 - inside))


def read_calibration(config: Mapping[str, Any]) -> Calibration:
    """That of a model's config.json; nothing is changed where it has none.

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
