"""The network: streaming equals offline, batches equal single streams, bad files are errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from asr.acoustic.checkpoint import load_model, save_model
from asr.acoustic.lstm import LSTMLayer
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import AcousticConfig, AcousticState, BlockState
from asr.errors import ModelError
from asr.model_folder import BUNDLED_MODEL, FORMAT_VERSION

CONFIGS = {
    "small": AcousticConfig(blocks=2, hidden=16, backward_hidden=8),
    "no look-ahead": AcousticConfig(blocks=2, hidden=16, backward_hidden=8, lookahead=0),
    "long look-ahead": AcousticConfig(blocks=3, hidden=16, backward_hidden=8, lookahead=3),
    "no context": AcousticConfig(blocks=1, hidden=16, backward_hidden=8, context_frames=0),
}
TOLERANCE = 1e-4


def network(config: AcousticConfig) -> AcousticModel:
    torch.manual_seed(5)
    model = AcousticModel(config)
    model.feature_mean.uniform_(-9, -7)
    model.feature_deviation.uniform_(2, 4)
    return model.eval()


def sound(frames: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, frames, 80) * 3 - 8


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@given(frames=st.integers(0, 60), cuts=st.lists(st.integers(0, 60), max_size=12).map(sorted))
@torch.no_grad()
def test_pieces_are_the_whole(config: AcousticConfig, frames: int, cuts: list[int]) -> None:
    model, x = network(config), sound(frames)
    state, emissions = model.initial_state(), []
    for piece in torch.tensor_split(x, [min(c, frames) for c in cuts], dim=1):
        state, emission = model.step(state, piece)
        emissions.append(emission)
    emissions.append(model.finish(state))
    whole, steps = model(x, None, "streaming")
    for name in ("phones", "letters"):
        pieces = torch.cat([getattr(emission, name) for emission in emissions], dim=1)
        assert pieces.shape[1] == int(steps) == -(-frames // 4)
        torch.testing.assert_close(pieces, getattr(whole, name), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("mode", ["offline", "streaming"])
@torch.no_grad()
def test_a_batch_is_each_alone(mode) -> None:
    model, x = network(CONFIGS["small"]), sound(50, batch=3)
    lengths = torch.tensor([50, 33, 7])
    together, steps = model(x, lengths, mode)
    assert steps.tolist() == [13, 9, 2]
    for row, (frames, count) in enumerate(zip(lengths.tolist(), steps.tolist())):
        alone, _ = model(x[row : row + 1, :frames], None, mode)
        torch.testing.assert_close(
            together.phones[row, :count], alone.phones[0], atol=TOLERANCE, rtol=0
        )


@torch.no_grad()
def test_stacked_streams_are_each_alone() -> None:
    model = network(CONFIGS["small"])
    x = sound(24, batch=2)
    states = [model.step(model.initial_state(), x[row : row + 1, :8])[0] for row in range(2)]
    stacked = AcousticState(
        torch.cat([state.frames for state in states]),
        tuple(
            BlockState(*(torch.cat(parts) for parts in zip(*blocks)))
            for blocks in zip(*(state.blocks for state in states))
        ),
    )
    _, together = model.step(stacked, x[:, 8:])
    for row, state in enumerate(states):
        _, alone = model.step(state, x[row : row + 1, 8:])
        torch.testing.assert_close(together.phones[row], alone.phones[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_step_needs_exactly_the_declared_latency() -> None:
    model = network(CONFIGS["small"])
    frames = round((model.config.latency_ms - 25) / 10) + 1  # frames that start within the latency
    x = sound(frames)
    assert model.step(model.initial_state(), x)[1].phones.shape[1] == 1
    assert model.step(model.initial_state(), x[:, :-1])[1].phones.shape[1] == 0


@torch.no_grad()
def test_the_fast_lstm_is_the_reference() -> None:
    model = network(CONFIGS["small"])
    lstm = model.blocks[0].forward_lstm
    assert isinstance(lstm, nn.LSTM)
    x = torch.randn(2, 30, 16)
    _, gates = LSTMLayer.from_torch(lstm)(x)
    torch.testing.assert_close(gates.hidden, lstm(x)[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_offline_mode_uses_later_frames() -> None:
    model, x = network(CONFIGS["small"]), sound(60)
    changed = x.clone()
    changed[:, 40:] += 3
    for mode, reaches_back in (("offline", True), ("streaming", False)):
        before, after = model(x, None, mode)[0].phones, model(changed, None, mode)[0].phones
        assert (not torch.allclose(before[:, :6], after[:, :6])) == reaches_back


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    model = network(CONFIGS["small"])
    save_model(model, tmp_path, {"hours": 1})
    loaded = load_model(tmp_path)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=5e-3, rtol=1e-3)
    assert not loaded.training


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(network(CONFIGS["small"]), tmp_path)
    return tmp_path


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))


def test_no_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model here"):
        load_model(tmp_path / "nowhere")


def test_a_newer_format_is_an_error(folder: Path) -> None:
    change_config(folder, format_version=FORMAT_VERSION + 1)
    with pytest.raises(ModelError, match="Update Rill"):
        load_model(folder)


def test_damaged_json_is_an_error(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="JSON"):
        load_model(folder)


def test_json_of_something_else_is_an_error(folder: Path) -> None:
    (folder / "config.json").write_text('{"a": 1}')
    with pytest.raises(ModelError, match="format_version"):
        load_model(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 5000])
def test_truncated_weights_are_errors(folder: Path, keep: int) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="damaged or truncated"):
        load_model(folder)


def test_missing_weights_are_errors(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="no such file"):
        load_model(folder)


def test_weights_of_another_shape_are_errors(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())["acoustic_model"]
    change_config(folder, acoustic_model=config | {"hidden": 32})
    with pytest.raises(ModelError, match="does not fit"):
        load_model(folder)


def test_an_unknown_network_setting_is_an_error(folder: Path) -> None:
    change_config(folder, acoustic_model={"heads": 8})
    with pytest.raises(ModelError, match="give no network"):
        load_model(folder)


def test_the_bundled_weights_may_be_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, package = tmp_path / "en-small", tmp_path / "rill_asr_weights"
    folder.mkdir()
    (folder / "config.json").write_bytes((BUNDLED_MODEL / "config.json").read_bytes())
    monkeypatch.setattr("asr.acoustic.checkpoint.BUNDLED_MODEL", folder)
    with pytest.raises(ModelError, match="pip install rill-asr-weights"):
        load_model(folder)
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "weights.safetensors").symlink_to(BUNDLED_MODEL / "weights.safetensors")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_model(folder).config == load_model(BUNDLED_MODEL).config
