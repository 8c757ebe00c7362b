"""Exports a trained network to int8 weights: `rill export`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from asr.acoustic.input_bounds import LOG_MEL_RANGE, input_bounds
from asr.acoustic.int8.weights import in_gate_order, packed_product, write_weights
from asr.acoustic.torch_model import AcousticModel, Block
from asr.errors import ConfigError

UNIT = 1 / 127  # of an LSTM's output, which is -1 to 1
WIDTHS = {"hidden": 64, "backward_hidden": 16}  # that the kernels take multiples of


def write_int8(model: AcousticModel, folder: Path) -> None:
    """Write the network's int8 weights into a folder.

    Raises:
        ConfigError: a network whose widths the kernels do not take.
    """
    config = model.config
    for name, multiple in WIDTHS.items():
        if (width := getattr(config, name)) % multiple:
            raise ConfigError(
                f"{name} {width}: the engine int8 takes multiples of {multiple}; onnx takes any"
            )
    bounds = input_bounds(model)
    low, high = (model.normalise(torch.tensor(level)).abs() for level in LOG_MEL_RANGE)
    of_frames = _array(torch.maximum(low, high))
    seen = config.frames_per_step + 2 * config.context_frames
    arrays = {
        "feature_mean": _array(model.feature_mean),
        "feature_deviation": _array(model.feature_deviation),
        "input.units": _units(of_frames),
        "heads.units": _units(bounds[-1]),
        **_linear("input", model.input, np.tile(of_frames, seen) / 127),
        **_norm("input", model.input_norm),
        **_linear("phones", model.phone_head, bounds[-1] / 127),
        **_linear("letters", model.letter_head, bounds[-1] / 127),
    }
    for k, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        arrays |= {f"block{k}.units": _units(bounds[k]), **_norm(f"block{k}", block.norm)}
        for direction in ("forward", "backward"):
            name = f"block{k}.{direction}"
            arrays |= _lstm(name, getattr(block, f"{direction}_lstm"), bounds[k])
            projection = getattr(block, f"{direction}_projection")
            arrays |= _linear(f"{name}.projection", projection, np.full(1, UNIT, np.float32))
    write_weights(folder, arrays, config)


def _lstm(name: str, layer: nn.LSTM, bounds: np.ndarray) -> dict[str, np.ndarray]:
    inputs, recurrent, *biases = (
        in_gate_order(_array(getattr(layer, f"{part}_l0")))
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    products = {
        "inputs": packed_product(inputs, biases[0] + biases[1], bounds / 127),
        "recurrent": packed_product(recurrent, None, np.full(1, UNIT, np.float32)),
    }
    return {
        f"{name}.{which}.{part}": array
        for which, parts in products.items()
        for part, array in parts.items()
    }


def _linear(name: str, layer: nn.Linear, units: np.ndarray) -> dict[str, np.ndarray]:
    bias = None if layer.bias is None else _array(layer.bias)
    parts = packed_product(_array(layer.weight), bias, units)
    return {f"{name}.{part}": array for part, array in parts.items()}


def _norm(name: str, layer: nn.LayerNorm) -> dict[str, np.ndarray]:
    return {f"{name}.norm.scale": _array(layer.weight), f"{name}.norm.bias": _array(layer.bias)}


def _units(bounds: np.ndarray) -> np.ndarray:
    return (127 / bounds).astype(np.float32)


def _array(values: Tensor) -> np.ndarray:
    return values.detach().numpy().astype(np.float32)
