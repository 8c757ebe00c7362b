"""The LSTM from its equations: the reference for the tests of the fast network.

An LSTM processes one input vector x after another and carries two vectors: the hidden state h, its
output, and the cell state C, its memory. At every step four gates are computed from [h, x]:

    f  = sigmoid(W_f [h, x] + b_f)      forget gate: the share of C that is kept
    i  = sigmoid(W_i [h, x] + b_i)      input gate: the share of the candidate that is added
    C~ = tanh   (W_C [h, x] + b_C)      candidate: the values that can be added
    o  = sigmoid(W_o [h, x] + b_o)      output gate: the share of tanh(C) that is output

    C  = f * C_previous + i * C~
    h  = o * tanh(C)

C passes from step to step through a sum and not through a squashing function. So the gradient
reaches many steps back without vanishing.

Sources: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997;
the forget gate: F. Gers, J. Schmidhuber, F. Cummins, "Learning to Forget: Continual Prediction
with LSTM", Neural Computation 12(10), 2000.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class LSTMState(NamedTuple):
    """The state that an LSTM layer carries from one step to the next."""

    hidden: Tensor  # [batch, hidden]
    cell: Tensor  # [batch, hidden]


class Gates(NamedTuple):
    """Activations of the gates and the state; every field is [batch, steps, hidden]."""

    forget: Tensor
    input: Tensor
    candidate: Tensor
    output: Tensor
    cell: Tensor
    hidden: Tensor


class LSTMCell(nn.Module):
    """One step of one layer.

    Each gate has a matrix for x and one for h, which together are the W of the equations.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        gate_sizes = {"input_size": input_size, "hidden_size": hidden_size}
        self.forget_gate = _Gate(**gate_sizes)
        self.input_gate = _Gate(**gate_sizes)
        self.candidate = _Gate(**gate_sizes)
        self.output_gate = _Gate(**gate_sizes)

    def initial_state(self, batch: int) -> LSTMState:
        """Zeros, [batch, hidden] each."""
        zeros = torch.zeros(batch, self.hidden_size, dtype=self.forget_gate.bias.dtype)
        return LSTMState(zeros, zeros)

    def forward(self, x: Tensor, state: LSTMState) -> tuple[LSTMState, Gates]:
        """One step.

        Args:
            x: [batch, input].
            state: h and C of the previous step, [batch, hidden] each.

        Returns:
            The new state, and the gates of this step, [batch, hidden] each.
        """
        h, c_previous = state
        f = torch.sigmoid(self.forget_gate(h, x))
        i = torch.sigmoid(self.input_gate(h, x))
        c_candidate = torch.tanh(self.candidate(h, x))
        o = torch.sigmoid(self.output_gate(h, x))

        c = f * c_previous + i * c_candidate
        h = o * torch.tanh(c)
        return LSTMState(h, c), Gates(f, i, c_candidate, o, c, h)


class LSTMLayer(nn.Module):
    """One layer over time, forward or backward; returns every gate of every step."""

    def __init__(self, input_size: int, hidden_size: int, backward: bool = False) -> None:
        super().__init__()
        self.cell = LSTMCell(input_size, hidden_size)
        self.backward = backward

    def forward(self, x: Tensor, state: LSTMState | None = None) -> tuple[LSTMState, Gates]:
        """All steps of a chunk.

        Args:
            x: [batch, steps, input].
            state: the state after the previous chunk; None at the start.

        Returns:
            The state after the last step (for a backward layer: after the first), and the gates,
            [batch, steps, hidden] each. `gates.hidden` is the layer's output.
        """
        state = state or self.cell.initial_state(len(x))
        steps = range(x.shape[1])
        gates_by_step = {}
        for step in reversed(steps) if self.backward else steps:
            state, gates_by_step[step] = self.cell(x[:, step], state)
        ordered = [gates_by_step[step] for step in steps]
        return state, Gates(*(torch.stack(all_steps, dim=1) for all_steps in zip(*ordered)))

    @classmethod
    def from_torch(cls, lstm: nn.LSTM, layer: int = 0, backward: bool = False) -> LSTMLayer:
        """The reference with the weights of one layer of a `torch.nn.LSTM`.

        torch stacks the gates in the order input, forget, candidate, output.
        """
        suffix = f"_l{layer}" + ("_reverse" if backward else "")
        w_x, w_h, b_x, b_h = (
            getattr(lstm, name + suffix).detach()
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        reference = cls(w_x.shape[1], lstm.hidden_size, backward).to(w_x.dtype)
        cell = reference.cell
        order = (cell.input_gate, cell.forget_gate, cell.candidate, cell.output_gate)
        for gate, *weights in zip(order, w_x.chunk(4), w_h.chunk(4), (b_x + b_h).chunk(4)):
            gate.load_state_dict(dict(zip(("w_x", "w_h", "bias"), weights)))
        return reference


class _Gate(nn.Module):
    """W [h, x] + b, before the squashing function."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        bound = hidden_size**-0.5
        self.w_x = nn.Parameter(torch.empty(hidden_size, input_size).uniform_(-bound, bound))
        self.w_h = nn.Parameter(torch.empty(hidden_size, hidden_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden_size).uniform_(-bound, bound))

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        return x @ self.w_x.T + h @ self.w_h.T + self.bias
