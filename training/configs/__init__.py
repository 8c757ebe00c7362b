"""Settings of commands: the bundled YAML files in this folder, and how YAML is read."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def bundled_names() -> list[str]:
    """Names of the bundled YAML files, for `--config-name`."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
