"""Checkpoints of a training run: written atomically, refused by a run of other settings."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from asr.errors import ConfigError, DataError

# These may change between sessions: they decide where and how fast a run goes on, not what it
# computes. (training/data/fingerprints.py checks the contents of those places.)
FREE_SETTINGS = {
    "output", "train", "valid", "lexicon", "checkpoint_minutes", "threads", "loader_workers",
    "patience_epochs", "evaluate_every_epochs",
}  # fmt: skip


def write_checkpoint(state: dict[str, Any], config: BaseModel, path: Path) -> None:
    """Write a checkpoint atomically: after a crash either it or the previous one is there.

    Raises:
        DataError: it could not be written (disk full); the previous one is intact.
    """
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save({"config": json.loads(config.model_dump_json()), **state}, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{path}: could not be written ({error}); the previous one is intact"
        ) from None
    os.replace(part, path)


def read_checkpoint(config: BaseModel, path: Path) -> dict[str, Any] | None:
    """The checkpoint to resume from; None when the run has none yet.

    Raises:
        DataError: it is damaged.
        ConfigError: it belongs to a run of other settings.
    """
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        settings = saved.pop("config")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: a damaged checkpoint ({first_line}); move it away to start afresh"
        ) from None
    wanted = json.loads(config.model_dump_json())
    settings = _with_defaults(settings, config)
    differing = [
        key for key in wanted if key not in FREE_SETTINGS and settings.get(key) != wanted[key]
    ]
    if differing:
        raise ConfigError(
            f"{path}: a checkpoint of other settings ({', '.join(differing)}); "
            "give the run another output folder, or the settings it started with"
        )
    return saved


def _with_defaults(settings: dict[str, Any], config: BaseModel) -> dict[str, Any]:
    """A checkpoint's settings, with defaults for settings that are newer than it."""
    try:
        filled = type(config).model_validate(settings)
    except ValidationError:
        return settings
    return dict(json.loads(filled.model_dump_json()))
