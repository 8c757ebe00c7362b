"""Runs the `rill` command as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def rill(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "asr.cli.main", *map(str, arguments)],
        input=stdin,
        capture_output=True,
    )
    assert b"Traceback" not in result.stderr, result.stderr.decode()
    return subprocess.CompletedProcess(
        result.args, result.returncode, result.stdout.decode(), result.stderr.decode()
    )


def visible(folder: Path) -> list[str]:
    """Names in a folder without the hidden ones, such as Rill's list of results."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
