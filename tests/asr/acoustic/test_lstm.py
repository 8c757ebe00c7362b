"""The reference LSTM is torch.nn.LSTM within float rounding, whole and in chunks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from asr.acoustic.lstm import LSTMLayer, LSTMState

TOLERANCE = 1e-6


def pair(backward: bool = False) -> tuple[nn.LSTM, LSTMLayer]:
    torch.manual_seed(3)
    theirs = nn.LSTM(5, 7, batch_first=True, bidirectional=backward).double()
    return theirs, LSTMLayer.from_torch(theirs, backward=backward)


def test_outputs_and_state_are_torchs() -> None:
    theirs, ours = pair()
    x = torch.randn(3, 20, 5, dtype=torch.double)
    expected, (h, c) = theirs(x)
    state, gates = ours(x)
    torch.testing.assert_close(gates.hidden, expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(state.hidden, h[0], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(state.cell, c[0], atol=TOLERANCE, rtol=0)


def test_the_backward_layer_is_torchs() -> None:
    theirs, ours = pair(backward=True)
    x = torch.randn(2, 9, 5, dtype=torch.double)
    expected = theirs(x)[0][:, :, 7:]
    torch.testing.assert_close(ours(x)[1].hidden, expected, atol=TOLERANCE, rtol=0)


def test_gradients_are_torchs() -> None:
    theirs, ours = pair()
    x = torch.randn(2, 12, 5, dtype=torch.double)
    weights = torch.randn(2, 12, 7, dtype=torch.double)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    (theirs(inputs[0])[0] * weights).sum().backward()
    (ours(inputs[1])[1].hidden * weights).sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, atol=TOLERANCE, rtol=0)
    # torch's order of gates: input, forget, candidate, output.
    cell = ours.cell
    gates = (cell.input_gate, cell.forget_gate, cell.candidate, cell.output_gate)
    for mine, name in (("w_x", "weight_ih_l0"), ("w_h", "weight_hh_l0"), ("bias", "bias_ih_l0")):
        ours_grad = torch.cat([getattr(gate, mine).grad for gate in gates])
        torch.testing.assert_close(ours_grad, getattr(theirs, name).grad, atol=TOLERANCE, rtol=0)


@given(cuts=st.lists(st.integers(0, 20), max_size=6).map(sorted))
def test_chunks_with_carried_state_are_the_whole(cuts: list[int]) -> None:
    theirs, ours = pair()
    x = torch.randn(2, 20, 5, dtype=torch.double)
    expected, _ = theirs(x)
    state, outputs = None, []
    for chunk in torch.tensor_split(x, cuts, dim=1):
        if chunk.shape[1]:
            state, gates = ours(chunk, state)
            outputs.append(gates.hidden)
    torch.testing.assert_close(torch.cat(outputs, 1), expected, atol=TOLERANCE, rtol=0)


def test_every_gate_is_reported_and_obeys_the_equations() -> None:
    _, ours = pair()
    x = torch.randn(1, 6, 5, dtype=torch.double)
    start = LSTMState(*torch.randn(2, 1, 7, dtype=torch.double))
    _, gates = ours(x, start)
    before = torch.cat([start.cell[:, None], gates.cell[:, :-1]], dim=1)
    torch.testing.assert_close(gates.cell, gates.forget * before + gates.input * gates.candidate)
    torch.testing.assert_close(gates.hidden, gates.output * gates.cell.tanh())
    for gate in (gates.forget, gates.input, gates.output):
        assert ((gate > 0) & (gate < 1)).all()


@pytest.mark.parametrize("gate", ["forget_gate", "input_gate", "candidate", "output_gate"])
def test_each_gate_has_its_own_weights(gate: str) -> None:
    _, ours = pair()
    x = torch.randn(1, 4, 5, dtype=torch.double)
    before = ours(x)[1].hidden
    with torch.no_grad():
        getattr(ours.cell, gate).bias += 1.0
    assert not torch.allclose(ours(x)[1].hidden, before)
