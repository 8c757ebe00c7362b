"""The adding problem: remember two numbers for a long time.

Each step has a number from 0 to 1 and a mark. Two steps are marked, one in each half, and the
target is the sum of the two marked numbers. The constant 1 has a mean square error of 1/6. Source:
S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", 1997, experiment 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from training.experiments.cells import Cell, recurrent_layer

LEARNT_ERROR = 0.01  # mean square; 0.167 without memory
SMOOTHING = 0.97  # of the running mean of the error


class Adder(nn.Module):
    """A recurrent layer over a sequence, and a linear layer that estimates the sum."""

    def __init__(self, cell: Cell, length: int, hidden: int = 32) -> None:
        super().__init__()
        self.layer = recurrent_layer(cell, 2, hidden, length)
        self.sum = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, steps, 2] to [batch]."""
        estimate: Tensor = self.sum(self.layer(x)[0][:, -1])[:, 0]
        return estimate


@dataclass
class Learning:
    """A trained adder and its errors."""

    adder: Adder
    errors: dict[int, float] = field(default_factory=dict)  # running mean by update
    learnt_after: int | None = None  # updates until it was below LEARNT_ERROR


def adding_batch(length: int, batch: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences [batch, length, 2] (number, mark) and their sums [batch]."""
    numbers = torch.rand(batch, length, generator=random)
    marks = torch.zeros(batch, length)
    rows, half = torch.arange(batch), length // 2
    marks[rows, torch.randint(0, half, (batch,), generator=random)] = 1.0
    marks[rows, torch.randint(half, length, (batch,), generator=random)] = 1.0
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(1)


def learn_adding(
    cell: Cell,
    length: int,
    seed: int,
    updates: int,
    batch: int = 16,
    learning_rate: float = 3e-3,
    report_every: int = 50,
) -> Learning:
    """Train until the problem is learnt, at most `updates` updates, each on new sequences."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    learning = Learning(Adder(cell, length))
    parameters = list(learning.adder.parameters())
    optimiser = torch.optim.Adam(parameters, lr=learning_rate)
    running = 1 / 6
    for update in range(1, updates + 1):
        x, wanted = adding_batch(length, batch, random)
        loss = (learning.adder(x) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        running = SMOOTHING * running + (1 - SMOOTHING) * loss.item()
        learnt = running < LEARNT_ERROR
        if update % report_every == 0 or learnt or update == updates:
            learning.errors[update] = running
        if learnt:
            learning.learnt_after = update
            break
    return learning
