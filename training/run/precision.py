"""Whether a run can compute in bfloat16."""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


def usable_precision(precision: Precision) -> Precision:
    """The precision itself, or 32 bits where bfloat16 is wanted and this machine has none: torch's
    LSTM then fails on CPUs without AVX-512."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return precision if precision == "32-true" or has_bfloat16(device) else "32-true"


@cache
def has_bfloat16(device: str) -> bool:
    """Whether an LSTM runs in bfloat16 on a device."""
    lstm = torch.nn.LSTM(8, 8).to(device)
    try:
        with torch.autocast(device, torch.bfloat16):
            lstm(torch.zeros(1, 1, 8, device=device))[0].sum().backward()
    except RuntimeError:
        return False
    return True
