"""G.711, the coding of telephone speech: 8 bits a sample, 8,000 samples a second (ITU-T G.711)."""

from __future__ import annotations

import numpy as np

G711_RATE = 8000
MU_LAW_BIAS = 132


def decode_mu_law(data: bytes) -> np.ndarray:
    """int16 [samples] of μ-law bytes."""
    return _MU_LAW[np.frombuffer(data, np.uint8)]


def decode_a_law(data: bytes) -> np.ndarray:
    """int16 [samples] of A-law bytes."""
    return _A_LAW[np.frombuffer(data, np.uint8)]


def _mu_law_table() -> np.ndarray:
    code = ~np.arange(256) & 0xFF  # all bits are inverted on the line
    exponent, mantissa = code >> 4 & 7, code & 15
    size = ((mantissa << 3) + MU_LAW_BIAS << exponent) - MU_LAW_BIAS
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _a_law_table() -> np.ndarray:
    code = np.arange(256) ^ 0x55  # every second bit is inverted on the line
    exponent, mantissa = code >> 4 & 7, code & 15
    linear = (mantissa << 4) + 8
    size = np.where(exponent, linear + 256 << np.maximum(exponent - 1, 0), linear)
    return np.where(code & 0x80, size, -size).astype(np.int16)


_MU_LAW, _A_LAW = _mu_law_table(), _a_law_table()
