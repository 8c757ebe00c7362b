"""Loads the engine of a model's folder. Only this module imports both engines."""

from __future__ import annotations

import os
from pathlib import Path

from asr.acoustic.types import ONNX_FOLDER, Engine, EngineName, acoustic_config
from asr.errors import ConfigError


def load_engine(
    model: str | os.PathLike[str], name: EngineName | None = None, threads: int | None = None
) -> Engine:
    """The engine of a model's folder: ONNX Runtime if the model has an export, otherwise torch.

    Args:
        threads: threads of one call of the network; one per core if not given.

    Raises:
        ModelError: a file is missing or damaged.
        ConfigError: no engine of that name.
    """
    folder = Path(model)
    config = acoustic_config(folder)
    if name is None:
        name = "onnx" if (folder / ONNX_FOLDER).is_dir() else "torch"
    if name == "onnx":
        from asr.acoustic.onnx_engine import OnnxEngine

        return OnnxEngine(folder / ONNX_FOLDER, config, threads)
    if name == "torch":
        from asr.acoustic.torch_engine import load_torch_engine

        return load_torch_engine(folder, threads)
    raise ConfigError(f"unknown engine '{name}'; there are onnx and torch")
