"""Loads the engine of a model's folder. Only this module imports all engines."""

from __future__ import annotations

import os
from pathlib import Path

from asr.acoustic.types import EXPORTS, Engine, EngineName, acoustic_config
from asr.errors import ConfigError


def load_engine(
    model: str | os.PathLike[str], name: EngineName | None = None, threads: int | None = None
) -> Engine:
    """The engine of a model's folder: the fastest that the model has an export for, otherwise
    torch.

    Args:
        threads: threads of one call of the network; one per core if not given.

    Raises:
        ModelError: a file is missing or damaged.
        ConfigError: no engine of that name.
    """
    folder = Path(model)
    config = acoustic_config(folder)
    if name is None:
        name = next((engine for engine in EXPORTS if (folder / engine).is_dir()), "torch")
    if name == "int8":
        from asr.acoustic.int8.engine import Int8Engine

        return Int8Engine(folder / name, config, threads)
    if name == "onnx":
        from asr.acoustic.onnx_engine import OnnxEngine

        return OnnxEngine(folder / name, config, threads)
    if name == "torch":
        from asr.acoustic.torch_engine import load_torch_engine

        return load_torch_engine(folder, threads)
    raise ConfigError(f"unknown engine '{name}'; there are int8, onnx and torch")
