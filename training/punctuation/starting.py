"""Weights to start from: those of a network that `rill punctuation train` wrote."""

from __future__ import annotations

import json
import os

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from asr.acoustic.onnx_lstm import PINS, torch_gates
from asr.errors import ConfigError
from asr.text.punctuation import METADATA, Mark
from training.punctuation.network import COMMA_BIAS, PunctuationNetwork


def start_from(path: str | os.PathLike[str], network: PunctuationNetwork) -> None:
    """Give the network the weights of a file, which are int8 there.

    Raises:
        ConfigError: the file is missing, or its network has other sizes.
    """
    try:
        model = onnx.load(os.fspath(path))
        values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    except (OSError, DecodeError) as error:
        raise ConfigError(f"start: {path}: missing or damaged ({error})") from None
    try:
        weights = {"table.weight": values["table.int8"] * values["table.scale"]}
        for layer in range(network.lstm.num_layers):
            for suffix in ("", "_reverse"):
                its = _lstm_weights(values, f"l{layer}{suffix}", network.lstm.hidden_size)
                weights |= {f"lstm.{part}_l{layer}{suffix}": each for part, each in its.items()}
        for name in ("mark", "case"):
            matrix = values[f"{name}.weight.int8"] * values[f"{name}.weight.scale"]
            weights[f"{name}s.weight"], weights[f"{name}s.bias"] = matrix.T, values[f"{name}.bias"]
        about = {each.key: each.value for each in model.metadata_props}
        bias = float(json.loads(about[METADATA]).get(COMMA_BIAS, 0))
        weights["marks.bias"] = weights["marks.bias"] - bias * np.eye(len(Mark))[Mark.COMMA]
        network.load_state_dict(
            {name: torch.tensor(np.float32(value)) for name, value in weights.items()}
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise ConfigError(f"start: {path}: another network ({error})") from None


def _lstm_weights(values: dict[str, np.ndarray], name: str, hidden: int) -> dict[str, np.ndarray]:
    """The weights of an LSTM as torch names them, without the pins of its int8 products."""
    found = {}
    for part in ("weight_ih", "weight_hh"):
        matrix = values[f"{name}.{part}.int8"][0] * values[f"{name}.{part}.scale"][0]
        found[part] = torch_gates(matrix.T, hidden)
    inputs = values[f"{name}.units"].size - PINS
    found["weight_ih"] = found["weight_ih"][:, :inputs] * values[f"{name}.units"][:inputs]
    found["weight_hh"] = found["weight_hh"][:, :hidden]
    biases = np.split(values[f"{name}.bias"][0], 2)
    found["bias_ih"], found["bias_hh"] = (torch_gates(bias, hidden) for bias in biases)
    return found
