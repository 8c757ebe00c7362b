"""`about.json`, which describes an engine's files in their folder. It is written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.errors import ModelError

ABOUT = "about.json"
_KINDS = {str: "a text", int: "a whole number", dict: "a table", list: "a list"}


def read_about(folder: Path, fields: Mapping[str, type], remedy: str) -> dict[str, Any]:
    """What `about.json` says.

    Args:
        fields: the names that it must have, and the type of each value.
        remedy: advice to the user, for the message on a missing or damaged file.

    Raises:
        ModelError: the file is missing, cannot be read, or lacks a field.
    """
    path = folder / ABOUT
    try:
        about = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file. {remedy}") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). {remedy}") from None
    except (ValueError, RecursionError):
        raise damaged(path, "it is not JSON", remedy) from None
    if not isinstance(about, dict):
        raise damaged(path, "it is not a table of names and values", remedy)
    for name, kind in fields.items():
        if name not in about:
            raise damaged(path, f"it lacks {name}", remedy)
        if type(about[name]) is not kind:
            raise damaged(path, f"{name} is not {_KINDS[kind]}", remedy)
    return about


def damaged(path: Path, problem: str, remedy: str) -> ModelError:
    """The error of a damaged file of an engine."""
    return ModelError(f"{path}: damaged, {problem}. {remedy}")
