"""The learning rate of each update."""

from __future__ import annotations

import math
from typing import Protocol


class ScheduleConfig(Protocol):
    """The settings of the schedule: those of an acoustic or of a language model's run."""

    @property
    def learning_rate(self) -> float: ...

    @property
    def warm_up_updates(self) -> int: ...


def learning_rate(config: ScheduleConfig, update: int, total_updates: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if update < config.warm_up_updates:
        return config.learning_rate * (update + 1) / config.warm_up_updates
    past = (update - config.warm_up_updates) / max(1, total_updates - config.warm_up_updates)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, past))))
