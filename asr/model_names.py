"""Models by name: the bundled ones, and those that the user has put into the data folder."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from asr.errors import ModelError
from asr.model_folder import BUNDLED_MODEL


def find_model(model: str | os.PathLike[str]) -> Path:
    """The folder of a model: a path, or the name of a folder below one of `model_folders`. A folder
    that is there comes before a name.

    Raises:
        ModelError: neither; the names that there are stand in the message.
    """
    path = Path(model)
    if path.exists() or path.name != os.fspath(model):
        return path
    for folder in model_folders():
        if (folder / path.name / "config.json").is_file():
            return folder / path.name
    raise ModelError(
        f"{path}: no folder of a model and no model's name; there are {', '.join(model_names())}"
    )


def model_names() -> list[str]:
    """Of all models that can be loaded by name."""
    configs = (path for folder in model_folders() for path in folder.glob("*/config.json"))
    return sorted({path.parent.name for path in configs})


def model_folders() -> tuple[Path, Path]:
    """Where models by name lie: the user's data folder (~/.local/share/rill/models on Linux) and
    the package."""
    return user_data_path("rill", appauthor=False) / "models", BUNDLED_MODEL.parent
