"""How far gradients reach back: of the output with respect to the inputs, and of the state with
respect to earlier states.

The state of a layer is h, and for an LSTM h and C. The Jacobian of the last state with respect to
the one `distance` steps before is the product of the Jacobians of single steps. Its norm is the
largest singular value: the growth of the most favourable change. Means over sequences are geometric
because the values span many powers of ten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asr.acoustic.lstm import LSTMLayer, LSTMState
from training.experiments.adding import Adder

MIN_NORM = 1e-30  # lower bound, for the logarithm of 0

Step = Callable[[Tensor, Tensor], Tensor]  # x [batch, input], state [batch, state] to the next


class Flow(NamedTuple):
    """Norms by distance from the last step, [steps] each; distance 0 is the last step itself."""

    gradient: Tensor  # |d output / d x|
    jacobian: Tensor  # ||d last state / d state||; 1 at distance 0


def flow(adder: Adder, x: Tensor) -> Flow:
    """The norms of an adder on sequences x [batch, steps, 2]."""
    return Flow(_gradient_norms(adder, x), _jacobian_norms(adder.layer, x))


def _gradient_norms(adder: Adder, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(adder(x).sum(), x)
    return _geometric_mean(gradient.norm(dim=2)).flip(0)


def _jacobian_norms(layer: nn.RNNBase, x: Tensor) -> Tensor:
    step, width = step_of(layer)
    state = torch.zeros(len(x), width, dtype=x.dtype)
    jacobians = []
    for x_now in x.unbind(1):
        jacobians.append(_jacobian(step, x_now, state))
        state = step(x_now, state).detach()
    product = torch.eye(width, dtype=x.dtype).expand(len(x), -1, -1)
    norms = [torch.linalg.matrix_norm(product, 2)]
    for jacobian in reversed(jacobians[1:]):
        product = product @ jacobian
        norms.append(torch.linalg.matrix_norm(product, 2))
    return _geometric_mean(torch.stack(norms, dim=1))


def _jacobian(step: Step, x: Tensor, state: Tensor) -> Tensor:
    """[batch, state, state]: d next state / d state, for each sequence."""

    def summed(state: Tensor) -> Tensor:  # sequences are independent
        return step(x, state).sum(0)

    found: Tensor = torch.autograd.functional.jacobian(summed, state, vectorize=True)
    return found.transpose(0, 1)


def step_of(layer: nn.RNNBase) -> tuple[Step, int]:
    """One step of a layer, and the width of its state."""
    if isinstance(layer, nn.LSTM):
        cell = LSTMLayer.from_torch(layer).cell

        def lstm_step(x: Tensor, state: Tensor) -> Tensor:
            return torch.cat(cell(x, LSTMState(*state.chunk(2, dim=1)))[0], dim=1)

        return lstm_step, 2 * layer.hidden_size
    function = torch.gru_cell if isinstance(layer, nn.GRU) else torch.rnn_tanh_cell
    weights = [
        getattr(layer, f"{name}_l0").detach()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    return lambda x, state: function(x, state, *weights), layer.hidden_size


def _geometric_mean(norms: Tensor) -> Tensor:
    return norms.clamp_min(MIN_NORM).log().mean(0).exp()
