"""Weights on disk: `weights.safetensors`, stored as float16, used as float32."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from asr.acoustic.torch_model import AcousticModel
from asr.acoustic.types import EXPORTS, acoustic_config
from asr.errors import ModelError
from asr.model_folder import BUNDLED_MODEL, write_network_config

WEIGHTS_FILE = "weights.safetensors"


def save_model(
    model: AcousticModel, folder: str | Path, about: dict[str, Any] | None = None
) -> None:
    """Write a model's folder. Other settings in its config.json are kept; exports of the
    previous weights are removed.

    Raises:
        ModelError: it cannot be written; the previous weights are intact.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(model, folder / WEIGHTS_FILE)
    write_network_config(folder, asdict(model.config), about or {})
    for engine in EXPORTS:
        shutil.rmtree(folder / engine, ignore_errors=True)


def write_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a network's weights as safetensors, float16, atomically.

    Raises:
        ModelError: they cannot be written; the previous file is intact.
    """
    path = Path(path)
    part = path.with_suffix(".part")
    weights = {
        name: value.detach().half().contiguous() for name, value in model.state_dict().items()
    }
    try:
        save_file(weights, part)
        part.chmod(0o644)  # safetensors makes it readable by its owner alone
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"{path}: could not be written ({error})") from None


def read_weights(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """The weights that `write_weights` wrote, as float32.

    Raises:
        ModelError: no such file, damaged, or truncated.
    """
    try:
        return {name: value.float() for name, value in load_file(path).items()}
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged or truncated ({error}). Copy it again") from None


def load_model(folder: str | os.PathLike[str]) -> AcousticModel:
    """The acoustic model of a folder, ready to recognise.

    Raises:
        ModelError: as `read_model_config`; weights that are missing, truncated or of another shape.
    """
    config = acoustic_config(folder)
    path = _weights(Path(folder))
    try:
        model = AcousticModel(config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{folder}/config.json: these settings give no network ({error})"
        ) from None
    weights = read_weights(path)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first_line = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(f"{path}: does not fit its config.json ({first_line})") from None
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise ModelError(f"{path}: holds weights that are NaN or infinite")
    return model.eval()


def _weights(folder: Path) -> Path:
    """The file of a model's floating-point weights. Those of the bundled model may be installed as
    a package of their own, rill-asr-weights (packaging/weights)."""
    path = folder / WEIGHTS_FILE
    if path.exists() or folder.resolve() != BUNDLED_MODEL.resolve():
        return path
    package = find_spec("rill_asr_weights")
    if package is None or package.origin is None:
        raise ModelError(f"{path}: no such file; pip install rill-asr-weights")
    return Path(package.origin).parent / WEIGHTS_FILE
