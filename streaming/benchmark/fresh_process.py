"""Measurements in a fresh Python process."""

from __future__ import annotations

import subprocess
import sys

from asr.errors import ConfigError

FAILED = "a process of the benchmark failed: "  # the start of the message


def output_of(arguments: list[str]) -> str:
    """The output of Python with these arguments.

    Raises:
        ConfigError: it failed; the message is its last line.
    """
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ConfigError(FAILED + last.removeprefix("rill: "))
    return done.stdout
