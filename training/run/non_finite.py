"""Updates whose loss is not finite: skipped one by one, and the end of a run if there are many."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asr.errors import DataError

MAX_IN_A_ROW = 20


class NonFiniteLosses:
    """Counts skipped updates in a row."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._in_a_row = 0

    def is_finite(self, gradient_norm: Tensor, update: int) -> bool:
        """Whether to make this update; reports a skipped one."""
        if torch.isfinite(gradient_norm):
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        self._report(f"update {update}: loss not finite, skipped ({self._in_a_row} in a row)")
        return False

    @property
    def too_many(self) -> bool:
        """Whether the run is to end."""
        return self._in_a_row >= MAX_IN_A_ROW

    def error(self, note: str = "") -> DataError:
        """The error that ends the run.

        Args:
            note: a sentence for the message, such as where the last batch is.
        """
        return DataError(
            f"{MAX_IN_A_ROW} losses in a row were not finite. {note}A lower learning_rate or "
            "precision=32-true helps"
        )
