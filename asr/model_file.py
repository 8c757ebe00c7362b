"""Models on disk: a folder with `weights.safetensors` and `config.json`, and checks on reading.

    config.json     format version, the network's shape, decoding settings, what is known of it
    weights.safetensors    float16; computed with in float32

The bundled model's folder also holds the lexicon (`lexicon.txt.xz`), the language model
(`language_model.bin`) and the model card.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from asr.acoustic_model import AcousticConfig, AcousticModel
from asr.errors import ModelError
from asr.text import LETTER_TOKENS, PHONE_TOKENS

FORMAT_VERSION = 1
BUNDLED_MODEL = Path(__file__).parent / "models" / "en-small"


def save_model(
    model: AcousticModel, folder: str | Path, about: dict[str, Any] | None = None
) -> None:
    """Write a model's folder; settings that stand in it already, such as decoding, are kept.

    Raises:
        ModelError: it cannot be written; the weights that were there before are whole.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config_path = folder / "config.json"
    kept = _kept_settings(config_path)
    config = kept | {
        "format_version": FORMAT_VERSION,
        "acoustic_model": asdict(model.config),
        "phones": list(PHONE_TOKENS),
        "letters": list(LETTER_TOKENS),
        "about": about or {},
    }
    part = folder / "config.part"
    try:
        part.write_text(json.dumps(config, indent=1) + "\n")
        write_weights(model, folder / "weights.safetensors")
        part.replace(config_path)
    except OSError as error:
        raise ModelError(f"{folder}: could not be written ({error})") from None


def save_decoding(folder: str | Path, settings: dict[str, Any]) -> None:
    """Write the decoder's settings into a model's config.json, beside those that are there.

    Raises:
        ModelError: as `read_model_config`, or the file cannot be written.
    """
    config = read_model_config(folder)
    config["decoding"] = config.get("decoding", {}) | settings
    path = Path(folder) / "config.json"
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(config, indent=1) + "\n")
        part.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: could not be written ({error})") from None


def write_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a network's weights as safetensors, float16, whole or not at all.

    Raises:
        ModelError: they cannot be written; the file that was there before is intact.
    """
    path = Path(path)
    part = path.with_suffix(".part")
    weights = {
        name: value.detach().half().contiguous() for name, value in model.state_dict().items()
    }
    try:
        save_file(weights, part)
        part.chmod(0o644)  # safetensors lets nobody else read it
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"{path}: could not be written ({error})") from None


def read_weights(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """What `write_weights` wrote, as float32.

    Raises:
        ModelError: no such file, damaged, or truncated.
    """
    try:
        return {name: value.float() for name, value in load_file(path).items()}
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged or truncated ({error}). Copy it again") from None


def _kept_settings(config_path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(config_path.read_text()))
    except (OSError, ValueError):
        return {}


def read_model_config(folder: str | Path) -> dict[str, Any]:
    """A model's config.json, checked.

    Raises:
        ModelError: no such folder, not JSON, a newer format, or another alphabet.
    """
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{folder}: no model here (config.json is missing)") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error})") from None
    version = config.get("format_version") if isinstance(config, dict) else None
    if not isinstance(version, int):
        raise ModelError(f"{path}: not the config.json of a Rill model (no format_version)")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{path}: model format {version}, this Rill reads up to {FORMAT_VERSION}. Update Rill: "
            "pip install --upgrade rill-asr"
        )
    if config.get("phones") != list(PHONE_TOKENS) or config.get("letters") != list(LETTER_TOKENS):
        raise ModelError(f"{path}: its phones or letters are not those of this Rill")
    return config


def load_model(folder: str | Path) -> AcousticModel:
    """The acoustic model of a folder, ready to recognise.

    Raises:
        ModelError: as `read_model_config`; weights that are missing, truncated or of another shape.
    """
    config = read_model_config(folder)
    path = Path(folder) / "weights.safetensors"
    try:
        model = AcousticModel(AcousticConfig(**config["acoustic_model"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{folder}/config.json: not a network that can be built ({error})"
        ) from None
    weights = read_weights(path)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first_line = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(f"{path}: does not fit its config.json ({first_line})") from None
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise ModelError(f"{path}: holds weights that are no numbers")
    return model.eval()
