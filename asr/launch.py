"""The `rill` program: chooses how memory is handed out, then runs the command line.

A beam search makes and frees tens of thousands of small blocks an utterance. glibc keeps seven
freed ones of a size at hand for a thread and merges the rest with their neighbours, only to cut
them up again. Told to keep them all, and to take memory in larger pieces, the decoder needs two
thirds of its time (docs/scale.md). glibc reads this from the environment when a program begins, so
this one begins a second time. Whoever imports Rill into a program of their own sets GLIBC_TUNABLES.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

TUNABLES = {
    "glibc.malloc.tcache_count": "60000",  # freed blocks of one size that a thread keeps
    "glibc.malloc.top_pad": str(16 * 2**20),  # bytes taken in advance
    "glibc.malloc.trim_threshold": str(256 * 2**20),  # free bytes that are given back
}


def main() -> None:
    """What `rill` runs."""
    environment = tuned(os.environ)
    if environment and _is_glibc():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    from asr.cli import main as run

    run()


def tuned(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The environment with what glibc shall know; None when somebody has set it already."""
    said = environment.get("GLIBC_TUNABLES", "")
    if "glibc.malloc." in said:
        return None
    settings = [said] if said else []
    settings += [f"{name}={value}" for name, value in TUNABLES.items()]
    return {**environment, "GLIBC_TUNABLES": ":".join(settings)}


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # Windows, macOS, musl
        return False
