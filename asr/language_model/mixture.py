"""Two language models mixed word by word (linear interpolation)."""

from __future__ import annotations

import math

import numpy as np

LOG_10 = math.log(10)


def mixed_log10(of_lstm: np.ndarray, of_ngrams: np.ndarray, share: float) -> np.ndarray:
    """Of the mixture of two models' probabilities; all three as logarithms to base 10."""
    mixed: np.ndarray = np.log10(share * 10.0**of_lstm + (1 - share) * 10.0**of_ngrams)
    return mixed
