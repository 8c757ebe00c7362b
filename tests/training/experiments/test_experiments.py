"""The gradient experiment: its layers, norms and problems are what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.lstm import LSTMLayer
from asr.errors import ConfigError
from training.experiments.adding import Adder, adding_batch, learn_adding
from training.experiments.cells import Cell, hidden_for, recurrent_layer
from training.experiments.flow import flow, step_of
from training.experiments.table import Table

REMEMBERING: tuple[Cell, ...] = ("rnn", "gru", "lstm", "lstm-long")


@pytest.mark.parametrize("gate", ["forget", "input", "output"])
def test_a_gate_that_was_taken_away_stays_open_in_training(gate: str) -> None:
    learning = learn_adding(f"lstm-no-{gate}", length=12, seed=1, updates=5)  # type: ignore[arg-type]
    x, _ = adding_batch(12, 4, torch.Generator().manual_seed(2))
    _, gates = LSTMLayer.from_torch(learning.adder.layer)(x)  # type: ignore[arg-type]
    assert (getattr(gates, gate) == 1).all()
    others = {"forget", "input", "output"} - {gate}
    assert all(getattr(gates, other).std() > 0 for other in others)


@pytest.mark.parametrize("cell", REMEMBERING)
def test_steps_are_those_of_torchs_layers(cell: Cell) -> None:
    torch.manual_seed(1)
    layer = recurrent_layer(cell, 2, 6)
    x, _ = adding_batch(9, 3, torch.Generator().manual_seed(1))
    step, width = step_of(layer)
    state = torch.zeros(3, width)
    for now in x.unbind(1):
        state = step(now, state)
    torch.testing.assert_close(state[:, :6], layer(x)[0][:, -1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("cell", REMEMBERING)
def test_the_norm_of_the_jacobian_is_that_of_small_changes(cell: Cell) -> None:
    torch.manual_seed(1)
    adder = Adder(cell, 8, hidden=5).double()
    x, _ = adding_batch(8, 1, torch.Generator().manual_seed(1))
    x = x.double()
    norms = flow(adder, x)
    assert norms.jacobian[0] == 1
    # From the state after the second step to the last, by central differences.
    step, width = step_of(adder.layer)
    state = torch.zeros(1, width, dtype=torch.double)
    for now in x[:, :2].unbind(1):
        state = step(now, state)
    columns = []
    for k in range(width):
        ends = []
        for change in (1e-5, -1e-5):
            moved = state.clone()
            moved[0, k] += change
            for now in x[:, 2:].unbind(1):
                moved = step(now, moved)
            ends.append(moved[0])
        columns.append((ends[0] - ends[1]) / 2e-5)
    expected = torch.linalg.matrix_norm(torch.stack(columns, 1), 2)
    torch.testing.assert_close(norms.jacobian[6], expected, atol=0, rtol=1e-4)


def test_a_long_memory_keeps_what_a_plain_rnn_loses() -> None:
    x, _ = adding_batch(60, 4, torch.Generator().manual_seed(1))
    torch.manual_seed(1)
    kept = {cell: flow(Adder(cell, 60), x) for cell in ("rnn", "lstm-long")}
    assert kept["lstm-long"].jacobian[-1] > 0.1 > 1e-6 > kept["rnn"].jacobian[-1]
    assert kept["lstm-long"].gradient[-1] > 1e6 * kept["rnn"].gradient[-1]


@given(length=st.integers(4, 40), batch=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_sum_is_that_of_two_marked_numbers(length: int, batch: int, seed: int) -> None:
    x, wanted = adding_batch(length, batch, torch.Generator().manual_seed(seed))
    marks = x[..., 1]
    half = length // 2
    assert (marks[:, :half].sum(1) == 1).all() and (marks[:, half:].sum(1) == 1).all()
    torch.testing.assert_close((x[..., 0] * marks).sum(1), wanted)
    assert ((x[..., 0] >= 0) & (x[..., 0] < 1)).all()


def test_a_short_sum_is_learnt_and_reported() -> None:
    learning = learn_adding("lstm-long", length=8, seed=1, updates=1500, learning_rate=0.01)
    assert learning.learnt_after is not None
    assert learning.errors[learning.learnt_after] < 0.01


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_models_have_as_many_weights(cell: Cell) -> None:
    layer = recurrent_layer(cell, 128, hidden_for(cell, 4 * 2 * 128**2, 128))
    weights = sum(p.numel() for p in layer.parameters() if p.dim() == 2)
    assert weights == pytest.approx(4 * 2 * 128**2, rel=0.02)


def test_an_unknown_cell_is_reported() -> None:
    with pytest.raises(ConfigError, match="unknown cell 'mamba'"):
        recurrent_layer("mamba", 2, 2)  # type: ignore[arg-type]


def test_a_table_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    table = Table(tmp_path / "t.csv", "command", ["cell", "seed"])
    table.add([{"cell": "rnn", "seed": 1}])
    again = Table(tmp_path / "t.csv", "command", ["cell", "seed"])
    assert again.has(cell="rnn", seed=1) and not again.has(cell="rnn", seed=2)
    again.add([{"cell": "gru", "seed": 1}])
    again.remove(cell="gru")
    assert not again.has(cell="gru")
    assert (tmp_path / "t.csv").read_text() == "# command\ncell,seed\nrnn,1\n"


def test_the_command_measures_and_goes_on(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "training.experiments", "adding", "--results", str(tmp_path),
        "--length", "6", "--seed", "1", "--updates", "3", "--cell", "rnn", "--cell", "lstm",
    ]  # fmt: skip
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in "12"]
    assert runs[0].stdout.count("not learnt in 3 updates") == 2
    assert runs[1].stdout == ""
    assert (tmp_path / "adding.csv").read_text().count("\n") == 4
