"""The ranges within which the inputs of int8 products are quantised."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from asr.acoustic.torch_model import AcousticModel, Block
from asr.acoustic.types import Mode
from asr.audio import read_audio
from asr.features.log_mel import ENERGY_FLOOR, log_mel
from asr.model_folder import BUNDLED_MODEL

MARGIN = 1.5  # beyond the values on the bundled recording
# log-mel of digital silence, and a value above that of the loudest sound
LOG_MEL_RANGE = (float(np.log(ENERGY_FLOOR)), 7.0)


def input_bounds(model: AcousticModel) -> list[np.ndarray]:
    """Bounds for int8 products: [hidden] for the input of each block, and for that of the heads.

    A bound is 1.5 times the largest absolute value on the bundled recording, or the largest value
    that the LayerNorm can produce. It is rounded up to a power of two, so that it does not depend
    on how torch rounds.
    """
    layers = [model.input_norm, *(cast(Block, block).norm for block in model.blocks)]
    largest = [torch.zeros(model.config.hidden) for _ in layers]

    def keep_largest(into: Tensor) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(layer: nn.Module, x: object, y: Tensor) -> None:
            torch.maximum(into, y.abs().amax((0, 1)), out=into)

        return hook

    hooks = [
        layer.register_forward_hook(keep_largest(values)) for layer, values in zip(layers, largest)
    ]
    frames = torch.from_numpy(log_mel(read_audio(BUNDLED_MODEL / "demo.flac")))[None]
    modes: tuple[Mode, ...] = ("offline", "streaming")
    with torch.inference_mode():
        for mode in modes:
            model(frames, None, mode)
    for hook in hooks:
        hook.remove()
    bounds = []
    for layer, values in zip(layers, largest):
        reach = layer.bias.abs() + math.sqrt(model.config.hidden - 1) * layer.weight.abs()
        wanted = torch.minimum(MARGIN * values.clamp(min=float(values.mean()) / 4), reach)
        bounds.append((2 ** wanted.log2().ceil()).detach().numpy())
    return bounds
