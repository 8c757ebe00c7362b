"""Bundled settings: each is valid, and commands find them by name, by path and where they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import ConfigError
from training.configs import FOLDER, Kind, bundled_names
from training.configs.reading import read_settings
from training.configs.training import TrainConfig, read_config
from training.data.copy_config import CopyConfig
from training.evaluation.config import ScoreConfig
from training.language_model.lstm.config import WordModelConfig
from training.punctuation.config import PunctuationConfig


@pytest.mark.parametrize("name", bundled_names())
def test_every_bundled_configuration_is_valid(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    if name == "copies":
        assert read_settings(CopyConfig, path) == CopyConfig()
    elif name == "scores":
        assert read_settings(ScoreConfig, path).sets
    elif name == "punctuation":
        assert read_settings(PunctuationConfig, path).texts
    elif name == "lstm-lm":
        assert read_settings(WordModelConfig, path).epochs > 0
    else:
        assert read_config(path).epochs > 0


def failure(*arguments: str) -> str:
    run = CliRunner().invoke(app, arguments)
    assert isinstance(run.exception, ConfigError), run.output
    return str(run.exception)


KINDS: dict[tuple[str, ...], Kind] = {
    ("train",): "train",
    ("score",): "scores",
    ("fit", "model"): "scores",
    ("lm", "tune"): "scores",
    ("prepare", "copies", "cache"): "copies",
    ("lm", "train", "text", "--output", "run"): "lm",
    ("punctuation", "train"): "punctuation",
}


@pytest.mark.parametrize(("command", "kind"), KINDS.items(), ids=map(" ".join, KINDS))
def test_a_command_names_its_bundled_files_if_there_is_no_such_one(
    command: tuple[str, ...], kind: Kind
) -> None:
    """And those of other commands belong to other commands."""
    message = failure(*command, "--config-name", "en-smal")
    assert "en-smal: no such bundled file" in message
    names = bundled_names(kind)
    assert names and message.endswith(", ".join(names))
    for other in set(bundled_names()) - set(names):
        message = failure(*command, "--config-name", other)
        assert f"{other}: belongs to another command" in message


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("train",), "with one of en-conditions, en-small"),
        (("score",), "scores"),
        (("fit", "model"), "scores"),
        (("lm", "tune"), "scores"),
        (("punctuation", "train"), "punctuation"),
    ],
)
def test_a_command_that_needs_a_file_says_so(command: tuple[str, ...], names: str) -> None:
    assert f"give a YAML file, or --config-name {names}" in failure(*command)


def test_settings_replace_those_of_a_bundled_file() -> None:
    assert "did you mean 'epochs'" in failure("train", "--config-name", "tiny", "epoch=3")
    assert "did you mean 'epochs'" in failure("train", "epoch=3", "--config-name", "tiny")
    assert "expected key=value" in failure("train", "other.yaml", "--config-name", "tiny")
    assert "give one of them" in failure("score", "other.yaml", "--config-name", "scores")


def test_a_name_in_the_place_of_a_path_gets_a_hint() -> None:
    assert failure("train", "tiny").endswith("did you mean --config-name tiny?")


def test_the_paths_of_release_0_1_work_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(DeprecationWarning, match="--config-name tiny"):
        assert read_config("configs/tiny.yaml") == read_config(FOLDER / "tiny.yaml")
    os.mkdir("configs")
    Path("configs/tiny.yaml").write_text("train: a\nvalid: b\noutput: c\nlexicon: d\n")
    own = TrainConfig(train="a", valid="b", output="c", lexicon="d")
    assert read_config("configs/tiny.yaml") == own, "a file that is there comes first"
