"""The linear interpolation of two language models."""

from __future__ import annotations

import math

import numpy as np

LOG_10 = math.log(10)


def mixed_log10(of_lstm: np.ndarray, of_ngrams: np.ndarray, share: float) -> np.ndarray:
    """log10 of the mixture of two models' probabilities, which are log10 too.

    Args:
        share: of the LSTM, 0 to 1.
    """
    mixed: np.ndarray = np.log10(share * 10.0**of_lstm + (1 - share) * 10.0**of_ngrams)
    return mixed
