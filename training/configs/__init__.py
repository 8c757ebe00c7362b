"""Settings of commands: the bundled YAML files in this folder, and how YAML is read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

# What a bundled file configures: a training run, if it has no kind of its own.
Kind = Literal["train", "copies", "scores", "lm", "punctuation"]
_KINDS: dict[str, Kind] = {
    "copies": "copies", "scores": "scores", "lstm-lm": "lm", "punctuation": "punctuation",
}  # fmt: skip

FOLDER = Path(__file__).parent


def bundled_names(kind: Kind | None = None) -> list[str]:
    """Names of the bundled YAML files of a kind, or of all, for `--config-name`."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return [name for name in names if kind in (None, _KINDS.get(name, "train"))]
