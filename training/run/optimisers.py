"""Optimisers: AdamW, or Muon for the matrices of the blocks and AdamW for the rest."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from training.configs.training import TrainConfig
from training.run.muon import Muon
from training.run.precision import usable_precision


def make_optimisers(loss_module: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimisers of a run; each weight belongs to one of them.

    Both have the same learning rate.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in loss_module.named_parameters():
        of_block = ".blocks." in name and weight.ndim == 2
        (matrices if config.optimiser == "muon" and of_block else others).append(weight)
    made: list[Optimizer] = [
        torch.optim.AdamW(
            others, config.learning_rate, (0.9, 0.98), weight_decay=config.weight_decay, fused=True
        )
    ]
    if matrices:
        precision = (
            torch.bfloat16 if usable_precision(config.precision) == "bf16-mixed" else torch.float32
        )
        made.append(Muon(matrices, config.learning_rate, config.weight_decay, precision=precision))
    return made
