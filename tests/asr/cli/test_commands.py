"""Commands that lack something say what, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.acoustic.types import AcousticConfig
from asr.cli.main import app
from asr.errors import AudioError, ModelError
from asr.model_folder import BUNDLED_MODEL, LANGUAGE_MODEL, LEXICON
from asr.recognizer import Recognizer
from streaming.microphone import device as microphone
from tests.asr.cli.rill_command import rill
from tests.conftest import DEMO


def without_module(
    folder: Path, module: str, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """The command where that module is not installed."""
    code = (
        "import sys\n"
        "class Without:\n"
        "    def __init__(self, finder):\n"
        "        self.finder = finder\n"
        "    def find_spec(self, name, *rest):\n"
        f"        return None if name == {module!r} else self.finder.find_spec(name, *rest)\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(self.finder, name)\n"
        "sys.meta_path[:] = map(Without, sys.meta_path)\n"
    )
    (folder / "sitecustomize.py").write_text(code)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "asr.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.fixture
def bare_model(tmp_path: Path) -> Path:
    """A model as `rill train` leaves it: without language model and lexicon."""
    import torch

    from asr.acoustic.checkpoint import save_model
    from asr.acoustic.torch_model import AcousticModel

    torch.manual_seed(0)
    shape = AcousticConfig(blocks=1, hidden=16, backward_hidden=8)
    save_model(AcousticModel(shape), tmp_path / "model", {})
    return tmp_path / "model"


def test_a_model_of_rill_train_says_what_the_beam_needs(bare_model: Path) -> None:
    told = rill("transcribe", DEMO, "--model", bare_model)
    assert told.returncode == 2 and told.stderr == (
        f"rill: {bare_model}: a network without language_model.bin and lexicon.txt.xz; give "
        "--lm FILE and --lexicon FILE, copy the file into the folder, or use the greedy decoder, "
        "which needs none (--decoder greedy)\n"
    )
    lm, lexicon = BUNDLED_MODEL / LANGUAGE_MODEL, BUNDLED_MODEL / LEXICON
    with pytest.raises(ModelError, match=r"without lexicon\.txt\.xz; give --lexicon FILE,"):
        Recognizer.load(bare_model, language_model=lm)
    sound = np.zeros(8000, np.float32)
    assert Recognizer.load(bare_model, language_model=lm, lexicon=lexicon).transcribe(sound)
    assert Recognizer.load(bare_model, "greedy").transcribe(sound)
    shutil.copy(lexicon, bare_model)
    with pytest.raises(ModelError, match=r"without language_model\.bin; give --lm FILE"):
        Recognizer.load(bare_model)
    assert Recognizer.load(bare_model, grammar=["yes", "no"])  # whose phrases need no more


def test_rill_train_says_how_its_model_is_used(tmp_path: Path) -> None:
    from tests.training.run.test_trainer import tiny

    said = CliRunner().invoke(app, ["train", *tiny(tmp_path, "epochs=1")]).stdout
    assert f"--model {tmp_path}/run/model --lm LM.bin --lexicon LEXICON.txt" in said
    assert "--decoder greedy" in said


def test_a_cluster_without_ray_leaves_nothing_behind(tmp_path: Path) -> None:
    output = tmp_path / "results"
    told = ("transcribe", DEMO, "--cluster", "local", "--output", output)
    result = without_module(tmp_path, "ray", *told)
    assert result.returncode == 2
    assert result.stderr == "rill: this needs ray: pip install 'rill-asr[cluster]'\n"
    assert not output.exists()


def test_a_cluster_that_does_not_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs pip install 'rill-asr[cluster]'")
    output = tmp_path / "results"
    result = rill("transcribe", DEMO, "--cluster", "127.0.0.1:9", "--output", output)
    assert result.returncode == 2 and "no server answers there" in result.stderr
    assert not output.exists()


def test_no_device_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "input_devices", list)
    monkeypatch.setattr(microphone, "default_device", lambda: None)
    result = CliRunner().invoke(app, ["listen", "--list-devices"])
    assert result.stdout == ""
    assert isinstance(result.exception, AudioError)  # main: one line and exit status 2
    assert str(result.exception).startswith("no input device: plug in a microphone")


def test_delays_without_jiwer_name_their_own_extra(tmp_path: Path) -> None:
    result = without_module(tmp_path, "jiwer", "delays", tmp_path)
    assert result.returncode == 2
    assert result.stderr == "rill: this needs jiwer: pip install 'rill-asr[benchmark]'\n"
    result = without_module(tmp_path, "jiwer", "evaluate", tmp_path)
    assert result.stderr == "rill: this needs jiwer: pip install 'rill-asr[train]'\n"


def test_a_benchmark_without_jiwer_says_why_it_has_no_error_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streaming.benchmark import table

    class Enough(Exception):
        pass

    def stop(*_: object) -> None:
        raise Enough

    monkeypatch.setattr(table, "cold_start", stop)
    for installed in (True, False):
        monkeypatch.setattr(table, "find_spec", lambda name, there=installed: there)
        told: list[str] = []
        with pytest.raises(Enough):
            table.benchmark(
                [str(DEMO)], BUNDLED_MODEL, references={str(DEMO): "she"}, report=told.append
            )
        assert any("rill-asr[benchmark]" in line for line in told) != installed
