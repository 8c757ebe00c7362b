"""Training: it learns, a killed run resumes unchanged, other settings are refused."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asr.acoustic.checkpoint import load_model
from asr.errors import ConfigError, DataError
from asr.model_folder import read_model_config
from tests.training.synthetic import write_synthetic_cache
from training.configs import FOLDER
from training.configs.training import TrainConfig, read_config
from training.run.profiling import profile_lines
from training.run.schedule import learning_rate
from training.run.trainer import train

CONFIG = FOLDER / "tiny.yaml"


def tiny(folder: Path, *overrides: str) -> list[str]:
    """Arguments of `rill train` for a run in this folder."""
    if not (folder / "cache").exists():
        write_synthetic_cache(folder / "cache")
        (folder / "lexicon.txt").write_text("yes Y EH S\nno N OW\nway W EY\n")
    places = [f"train={folder}/cache", f"valid={folder}/cache", f"lexicon={folder}/lexicon.txt"]
    sizes = ["model.hidden=64", "model.backward_hidden=32", "model.frames_per_step=4"]
    pace = ["warm_up_updates=5", "evaluate_every_epochs=1", "ema_decay=0.998"]
    return [str(CONFIG), *places, *sizes, *pace, f"output={folder}/run", *overrides]


def configured(arguments: list[str]) -> TrainConfig:
    return read_config(arguments[0], arguments[1:])


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_it_learns_and_the_model_can_be_loaded(tmp_path: Path, optimiser: str) -> None:
    lines: list[str] = []
    settings = ["epochs=150", "ema_decay=0.9", f"optimiser={optimiser}"]
    folder = train(configured(tiny(tmp_path, *settings)), lines.append)
    model = load_model(folder)
    assert model.feature_mean.mean() < -5
    last = [line for line in lines if "valid" in line][-1]
    assert '"streaming": {"phones": 0.0' in last, last
    assert '"offline": {"phones": 0.0' in last, last


def test_a_resumed_run_extends_the_log(tmp_path: Path) -> None:
    lines: list[str] = []
    for max_updates in (10, None):
        train(configured(tiny(tmp_path, "epochs=15")), lines.append, max_updates)
    history = [json.loads(x) for x in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [r["update"] for r in history if "valid/streaming/phones" in r] == list(range(2, 31, 2))
    assert [r["update"] for r in history if "loss/offline/ctc_phones" in r] == [20]
    assert (tmp_path / "run" / "curve.png").read_bytes()[1:4] == b"PNG"
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert any("hours of speech an hour" in line for line in lines)
    assert sum("reference: yes" in line for line in lines) >= 15


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_run_in_two_parts_equals_an_uninterrupted_one(tmp_path: Path, optimiser: str) -> None:
    settings = ["epochs=4", f"optimiser={optimiser}"]
    whole = train(configured(tiny(tmp_path / "a", *settings)), lambda line: None)

    class Enough(Exception):
        pass

    def stop_after_two_epochs(line: str) -> None:
        if line.startswith("epoch 2"):
            raise Enough

    config = configured(tiny(tmp_path / "b", *settings))
    with pytest.raises(Enough):
        train(config, stop_after_two_epochs)
    reported: list[str] = []
    resumed = train(config, reported.append)
    assert reported[0].startswith("resumed at update")
    assert any(line.startswith("epoch 2 valid") for line in reported), "the evaluation was cut off"
    a, b = (load_model(folder).state_dict() for folder in (whole, resumed))
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], atol=1e-6, rtol=0)


def test_kill_9_and_the_same_command_resumes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asr.cli.main", "train", *tiny(tmp_path, "epochs=400")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch 3 valid"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert again.stdout
    assert any("resumed at update" in line for line in iter(again.stdout.readline, ""))
    assert any(line.startswith("epoch") for line in iter(again.stdout.readline, ""))
    again.send_signal(signal.SIGTERM)
    rest, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert "the same command resumes it" in rest


def test_a_full_disk_is_reported_and_the_previous_checkpoint_is_intact(tmp_path: Path) -> None:
    train(configured(tiny(tmp_path, "epochs=4")), lambda line: None, 4)
    last = tmp_path / "run" / "last.pt"
    before = last.read_bytes()
    command = [sys.executable, "-m", "asr.cli.main", "train", *tiny(tmp_path, "epochs=4")]

    def no_room() -> None:  # a file may grow to half a checkpoint, as on a disk that is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    full = subprocess.run(command, capture_output=True, text=True, preexec_fn=no_room)
    assert full.returncode == 2
    assert full.stderr.startswith("rill: ") and "could not be written" in full.stderr
    assert last.read_bytes() == before
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "resumed at update 4 of 8" in again.stdout


@pytest.mark.parametrize("keep", [0, 100, 50_000])
def test_a_damaged_checkpoint_is_reported(tmp_path: Path, keep: int) -> None:
    config = configured(tiny(tmp_path, "epochs=1"))
    train(config, lambda line: None)
    last = tmp_path / "run" / "last.pt"
    last.write_bytes(last.read_bytes()[:keep])
    with pytest.raises(DataError, match="damaged checkpoint"):
        train(config, lambda line: None)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    train(configured(tiny(tmp_path, "epochs=1")), lambda line: None)
    with pytest.raises(ConfigError, match="learning_rate"):
        train(configured(tiny(tmp_path, "epochs=1", "learning_rate=0.1")), lambda line: None)


def test_the_best_epoch_is_kept_and_patience_ends_a_run(tmp_path: Path) -> None:
    """Where the learning rate is absurd, it gets no better soon."""
    lines: list[str] = []
    absurd = ["learning_rate=0.5", "epochs=60", "patience_epochs=3", "warm_up_updates=40"]
    folder = train(configured(tiny(tmp_path, *absurd)), lines.append)
    reported = [line for line in lines if "valid" in line]

    def of_both_modes(errors: dict[str, dict[str, float]]) -> float:
        return errors["streaming"]["phones"] + errors["offline"]["phones"]

    wrong = [of_both_modes(json.loads(line.split("valid: ")[1])) for line in reported]
    kept = read_model_config(folder)["about"]
    assert of_both_modes(kept["token_errors"]) == min(wrong)
    assert len(wrong) < 60 and kept["epoch"] == len(wrong) - 4
    assert lines[-1] == "ended: no better for 3 epochs"
    train(configured(tiny(tmp_path, *absurd)), lines.append)
    assert lines[-1] == "already ended: no better for 3 epochs"


def test_epochs_of_different_length_are_all_completed(tmp_path: Path) -> None:
    lines: list[str] = []
    shares = ["speaker_shares.u=0.5", "batch.utterances=1", "epochs=6", "valid_utterances=1"]
    train(configured(tiny(tmp_path, *shares)), lines.append)
    assert len([line for line in lines if "valid" in line]) == 6


def test_a_run_starts_with_the_weights_of_another(tmp_path: Path) -> None:
    first = train(configured(tiny(tmp_path, "epochs=2")), lambda line: None)
    start = [f"start_from={first}", f"output={tmp_path}/second"]
    # Streaming mode alone never reaches the backward LSTM: it stays what it was.
    second = configured(tiny(tmp_path, *start, "epochs=2", "offline_every=1000"))
    before, after = (load_model(folder).state_dict() for folder in (first, train(second, print)))
    assert torch.equal(before["feature_mean"], after["feature_mean"])
    for name, value in before.items():
        assert torch.equal(value, after[name]) == ("backward" in name or "feature" in name), name


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    first = train(configured(tiny(tmp_path, "epochs=1")), lambda line: None)
    start = [f"start_from={first}", f"output={tmp_path}/second", "model.blocks=1"]
    with pytest.raises(ConfigError, match="another shape"):
        train(configured(tiny(tmp_path, *start)), lambda line: None)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("epoch=3", "did you mean 'epochs'"),
        ("model.blocs=3", "did you mean 'blocks'"),
        ("epochs=none", "epochs"),
        ("model.dropout=2", "model.dropout"),
        ("epochs", "expected key=value"),
    ],
)
def test_wrong_settings_are_reported(tmp_path: Path, override: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        configured(tiny(tmp_path, override))


def test_a_profile_has_the_share_of_each_part_and_leaves_no_files(tmp_path: Path) -> None:
    config = configured(tiny(tmp_path, "epochs=1"))  # with fewer updates than requested
    lines = profile_lines(config, 10)
    assert lines[0].startswith("10 updates in")
    shares = [float(line.split("%")[0]) for line in lines[1:6]]
    assert sum(shares) == pytest.approx(100, abs=0.5) and all(share > 0 for share in shares)
    assert not (tmp_path / "run").exists()


def test_learning_rate_rises_and_falls(tmp_path: Path) -> None:
    config = configured(tiny(tmp_path))
    rates = [learning_rate(config, update, 100) for update in range(101)]
    top = rates.index(max(rates))
    assert 0 < rates[0] < rates[top] == pytest.approx(config.learning_rate)
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.01 * config.learning_rate)


def test_evaluation_can_wait_for_several_epochs(tmp_path: Path) -> None:
    lines: list[str] = []
    train(configured(tiny(tmp_path, "epochs=7", "evaluate_every_epochs=3")), lines.append)
    reported = [line.split(" valid")[0] for line in lines if "valid" in line]
    assert reported == ["epoch 2", "epoch 5", "epoch 6"]


def test_two_views_bring_their_own_term(tmp_path: Path) -> None:
    extra = ["epochs=5", "objective.consistency=0.2", "batch.utterances=2", "augmentation={}"]
    train(configured(tiny(tmp_path, *extra)), lambda line: None)
    history = [json.loads(x) for x in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert history[-2]["loss/streaming/consistency"] > 0, history
