"""The exponential moving average of the weights, which is evaluated and saved as the model."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn


def make_average(model: nn.Module, decay: float, updates: int) -> AveragedModel:
    """The moving average of a model's weights after `updates` updates.

    The first average is the model itself. The decay rises with the number n of updates to `decay`:
    min(decay, (1 + n) / (10 + n)), so that the first random weights are soon forgotten.
    """

    def average(averaged: PARAM_LIST, current: PARAM_LIST, update: Tensor | int) -> None:
        update = int(update)
        get_ema_multi_avg_fn(min(decay, (1 + update) / (10 + update)))(averaged, current, update)

    averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    averaged.n_averaged.fill_(updates + 1)  # of the next update; 0 would copy the model
    return averaged
