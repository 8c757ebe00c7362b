"""A model's folder and its `config.json`.

config.json             format version, the network's shape, the decoder's settings, metadata
weights.safetensors     the network (asr/acoustic/checkpoint.py)
int8/                   the network in int8 (asr/acoustic/int8)
onnx/                   the network for ONNX Runtime, if exported (asr/acoustic/onnx_export.py)
lexicon.txt.xz          words and their pronunciations
language_model.bin      the n-gram language model
pronouncer.onnx         the grapheme-to-phoneme network
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.errors import ModelError
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS

FORMAT_VERSION = 1
LANGUAGE_MODEL, LEXICON = "language_model.bin", "lexicon.txt.xz"
BUNDLED_MODEL = Path(__file__).parent / "models" / "en-small"


def read_model_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """A model's config.json, validated.

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
            f"{path}: model format {version}, this Rill reads formats up to {FORMAT_VERSION}. "
            "Update Rill: pip install --upgrade rill-asr"
        )
    if config.get("phones") != list(PHONE_TOKENS) or config.get("letters") != list(LETTER_TOKENS):
        raise ModelError(f"{path}: its phones or letters differ from those of this Rill")
    for section in ("decoding", "confidence"):
        if not isinstance(config.get(section, {}), dict):
            raise ModelError(f"{path}: {section} is not a section of settings")
    return dict(config)


def is_model(folder: Path) -> bool:
    """Whether a folder has the config.json of a model that this Rill reads."""
    try:
        return bool(read_model_config(folder))
    except ModelError:
        return False


def check_parts(folder: Path, parts: Mapping[str, str]) -> None:
    """Raises ModelError for a folder that lacks files a decoder needs, such as one of `rill train`.

    Args:
        parts: names of files (LANGUAGE_MODEL, LEXICON), and the option that replaces each.
    """
    missing = {name: option for name, option in parts.items() if not (folder / name).exists()}
    if missing:
        raise ModelError(
            f"{folder}: a network without {' and '.join(missing)}; give "
            f"{' and '.join(missing.values())}, copy the file into the folder, or use the greedy "
            "decoder, which needs none (--decoder greedy)"
        )


def network_settings(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The network's shape from a model's config.json.

    Raises:
        ModelError: as `read_model_config`, or the shape is missing.
    """
    settings = read_model_config(folder).get("acoustic_model")
    if not isinstance(settings, dict):
        raise ModelError(f"{folder}/config.json: lacks the network's shape (acoustic_model)")
    return settings


def write_network_config(
    folder: str | os.PathLike[str], network: dict[str, Any], about: dict[str, Any]
) -> None:
    """Write a network's shape to the folder's config.json; its other settings are kept.

    Raises:
        ModelError: it cannot be written.
    """
    path = Path(folder) / "config.json"
    try:
        kept = dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        kept = {}
    _write(
        path,
        kept
        | {
            "format_version": FORMAT_VERSION,
            "acoustic_model": network,
            "phones": list(PHONE_TOKENS),
            "letters": list(LETTER_TOKENS),
            "about": about,
        },
    )


def save_settings(
    folder: str | os.PathLike[str], section: str, settings: Mapping[str, Any]
) -> None:
    """Update a section (decoding, confidence) of a model's config.json; other settings are kept.

    Raises:
        ModelError: as `read_model_config`, or the file cannot be written.
    """
    config = read_model_config(folder)
    config[section] = config.get(section, {}) | dict(settings)
    _write(Path(folder) / "config.json", config)


def _write(path: Path, config: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(config, indent=1) + "\n")
        part.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: could not be written ({error})") from None
