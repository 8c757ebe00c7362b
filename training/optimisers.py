"""What moves the weights: AdamW, or Muon for the matrices of the blocks and AdamW for the rest."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from training.config import TrainConfig


def optimisers(student: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimisers of a run; each weight belongs to one of them.

    Muon (Jordan et al. 2024; torch.optim.Muon) makes the singular values of a matrix' momentum
    alike before it is added. Its step is scaled to the length that AdamW's would have
    ("match_rms_adamw": Liu et al. 2025, arXiv 2502.16982), so that one learning rate serves both.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in student.named_parameters():
        of_block = ".blocks." in name and weight.ndim == 2
        (matrices if config.optimiser == "muon" and of_block else others).append(weight)
    made: list[Optimizer] = [
        torch.optim.AdamW(
            others, config.learning_rate, (0.9, 0.98), weight_decay=config.weight_decay, fused=True
        )
    ]
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices,
                config.learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return made
