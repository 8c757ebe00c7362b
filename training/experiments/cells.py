"""The recurrent layers that the experiments compare: a plain RNN, a GRU, the LSTM, and the LSTM
with one gate removed.

    rnn     h = tanh(W [h, x] + b)
    gru     K. Cho et al. 2014, arXiv 1406.1078, as torch.nn.GRU computes it
    lstm    the equations of asr/acoustic/lstm.py, as torch.nn.LSTM computes them

A gate is removed by holding it open: its weights are 0 and its bias is so large that the sigmoid is
exactly 1 with slope 0, so that training does not change it.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from asr.errors import ConfigError

Cell = Literal[
    "rnn", "gru", "lstm", "lstm-long", "lstm-no-forget", "lstm-no-input", "lstm-no-output"
]
FORGET_BIAS = 1.0  # R. Jozefowicz et al. 2015: the cell starts by keeping 73 % in each step
OPEN_BIAS = 40.0  # sigmoid(40) is 1 in float32, and its slope 0
TORCH_ORDER = ("input", "forget", "candidate", "output")  # of the gates in torch's stacked weights


def recurrent_layer(cell: Cell, input_size: int, hidden: int, longest: int = 100) -> nn.RNNBase:
    """A layer, `batch_first`, with random weights from torch's generator.

    Args:
        longest: time constants of "lstm-long" spread from 1 to so many steps, by random forget and
            input biases (C. Tallec and Y. Ollivier
            2018, arXiv 1804.11188).

    Raises:
        ConfigError: no such cell.
    """
    if cell == "rnn":
        return nn.RNN(input_size, hidden, batch_first=True)
    if cell == "gru":
        return nn.GRU(input_size, hidden, batch_first=True)
    name, _, change = cell.partition("-")
    if name != "lstm":
        raise ConfigError(
            f"unknown cell '{cell}'; expected rnn, gru, lstm or one of its variations"
        )
    lstm = nn.LSTM(input_size, hidden, batch_first=True)
    _set_bias(lstm, "forget", torch.full((hidden,), FORGET_BIAS))
    if change == "long":
        steps = 1 + (longest - 2) * torch.rand(hidden)
        _set_bias(lstm, "forget", steps.log())
        _set_bias(lstm, "input", -steps.log())
    elif change:
        hold_open(lstm, change.removeprefix("no-"))
    return lstm


def hold_open(lstm: nn.LSTM, gate: str) -> None:
    """Remove a gate ("forget", "input" or "output"): it is 1, also during training."""
    for name in ("weight_ih_l0", "weight_hh_l0"):
        getattr(lstm, name).data[_rows(lstm, gate)] = 0.0
    _set_bias(lstm, gate, torch.full((lstm.hidden_size,), OPEN_BIAS))


def hidden_for(cell: Cell, weights: int, input_size: int) -> int:
    """The hidden size of a layer with about so many weights, without biases."""
    gates = {"rnn": 1, "gru": 3}.get(cell, 4)
    # gates * (hidden^2 + input * hidden) = weights
    return round((math.sqrt(input_size**2 + 4 * weights / gates) - input_size) / 2)


def _set_bias(lstm: nn.LSTM, gate: str, bias: torch.Tensor) -> None:
    for name, values in (("bias_ih_l0", bias), ("bias_hh_l0", torch.zeros_like(bias))):
        getattr(lstm, name).data[_rows(lstm, gate)] = values


def _rows(lstm: nn.LSTM, gate: str) -> slice:
    start = TORCH_ORDER.index(gate) * lstm.hidden_size
    return slice(start, start + lstm.hidden_size)
