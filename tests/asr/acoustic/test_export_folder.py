"""Where `rill export` writes: on another file system too, and not where other files belong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asr.acoustic import export as exporting
from asr.acoustic.export import Agreement, export
from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import AcousticConfig, EngineName
from asr.errors import ConfigError, ModelError
from asr.model_folder import BUNDLED_MODEL

NETWORK = AcousticModel(AcousticConfig(blocks=1, hidden=64, backward_hidden=16))
FILES = ["about.json", "weights.bin"]


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network has random weights; their agreement in 8 bits is the subject of other tests."""
    same = Agreement("int8", 0.0, 1.0)
    monkeypatch.setattr(exporting, "compare", lambda *engines: same)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_on_another_file_system(tmp_path: Path, other_file_system: Path) -> None:
    """As a mount point: the folder is on another file system than its parent."""
    (tmp_path / "mounted").symlink_to(other_file_system)
    for _ in range(2):  # new, and over an older one
        export(NETWORK, tmp_path / "mounted")
        assert names(other_file_system) == FILES
    assert names(tmp_path) == ["mounted"]


def test_an_export_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "compare", lambda *engines: Agreement("int8", 9.0, 0.1))
    (tmp_path / "there").mkdir()
    for name in ("new", "there"):
        with pytest.raises(ModelError, match="differs from torch's"):
            export(NETWORK, tmp_path / name)
    assert names(tmp_path) == ["there"] and not names(tmp_path / "there")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder, with what the tests need of it."""
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(BUNDLED_MODEL / "config.json", folder)
    return folder


@pytest.mark.parametrize("place", [".", "out", "int8/deeper", "onnx"])
def test_in_a_model_there_is_one_place_for_an_engine(model: Path, place: str) -> None:
    with pytest.raises(ConfigError, match=r"folder of the engine onnx|belong into .*/int8; give"):
        export(NETWORK, model / place)
    assert names(model) == ["config.json"]
    export(NETWORK, model / "int8")
    assert names(model / "int8") == FILES


def test_a_folder_with_another_config_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"editor": "vi"}')
    export(NETWORK, tmp_path / "out")
    assert names(tmp_path / "out") == FILES


@pytest.mark.parametrize(
    ("engine", "other", "found"),
    [("int8", "onnx", ["about.json", "streaming.onnx"]), ("onnx", "int8", FILES)],
)
def test_files_of_another_engine_are_kept(
    tmp_path: Path, engine: EngineName, other: EngineName, found: list[str]
) -> None:
    for name in found:
        (tmp_path / name).write_text("kept")
    with pytest.raises(ConfigError, match=f"a folder of the engine {other}"):
        export(NETWORK, tmp_path, engine)
    assert names(tmp_path) == found and all(
        (tmp_path / name).read_text() == "kept" for name in found
    )
