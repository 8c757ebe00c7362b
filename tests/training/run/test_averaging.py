"""The moving average of the weights: its numbers, and checkpoints that resume it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from asr.acoustic.checkpoint import load_model
from tests.training.run.test_trainer import configured, tiny
from training.run.averaging import make_average
from training.run.trainer import train

DECAY = 0.9


def weights(update: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(update)
    return {
        "weight": torch.randn(3, 4, generator=random),
        "bias": torch.randn(3, generator=random),
    }


def test_it_is_an_exponential_average_whose_decay_rises_with_the_updates() -> None:
    model = nn.Linear(4, 3)
    model.load_state_dict(weights(0))
    average, expected = make_average(model, DECAY, 0), weights(0)
    for update in range(1, 120):
        model.load_state_dict(weights(update))
        average.update_parameters(model)
        decay = min(DECAY, (1 + update) / (10 + update))
        expected = {k: decay * v + (1 - decay) * weights(update)[k] for k, v in expected.items()}
        torch.testing.assert_close(dict(average.module.state_dict()), expected)
        if update in (1, 60):  # resume it from a state dict
            saved = average.module.state_dict()
            average = make_average(model, DECAY, update)
            average.module.load_state_dict(saved)


def test_a_checkpoint_with_a_plain_dictionary_of_averages_resumes(tmp_path: Path) -> None:
    settings = ["epochs=4", "ema_decay=0.9"]
    whole = train(configured(tiny(tmp_path / "a", *settings)), lambda line: None)
    config = configured(tiny(tmp_path / "b", *settings))
    train(config, lambda line: None, 3)
    last = tmp_path / "b" / "run" / "last.pt"
    saved = torch.load(last, weights_only=True)
    average = {name: value.clone() for name, value in saved["average"].items()}
    assert average.keys() == load_model(whole).state_dict().keys()
    torch.save({**saved, "average": average}, last)
    lines: list[str] = []
    resumed = train(config, lines.append)
    assert lines[0] == "resumed at update 3 of 8"
    a, b = (load_model(folder).state_dict() for folder in (whole, resumed))
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], atol=1e-6, rtol=0)
