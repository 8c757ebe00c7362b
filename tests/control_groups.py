"""Control groups of this machine with a limit, for commands that tests start."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOUNTED = Path("/sys/fs/cgroup")
PERIOD = 100_000


@contextmanager
def limited(cores: float | None = None, megabytes: int | None = None) -> Iterator[str]:
    """What begins a shell script that keeps to these limits; skips without the right to make them.

    Version 1 has a group in each of two hierarchies, version 2 one with both limits.
    """
    name = f"rill-test-{uuid.uuid4().hex[:8]}"
    limits: list[tuple[Path, str, str]] = []  # a group, its file, its content
    if cores:
        quota = round(cores * PERIOD)
        limits.append(
            (MOUNTED / "cpu" / name, "cpu.cfs_quota_us", f"{quota}")
            if (MOUNTED / "cpu" / "cpu.cfs_quota_us").exists()
            else (MOUNTED / name, "cpu.max", f"{quota} {PERIOD}")
        )
    if megabytes:
        bytes_ = megabytes * 2**20
        limits.append(
            (MOUNTED / "memory" / name, "memory.limit_in_bytes", f"{bytes_}")
            if (MOUNTED / "memory" / "memory.limit_in_bytes").exists()
            else (MOUNTED / name, "memory.max", f"{bytes_}")
        )
    groups = sorted({group for group, _, _ in limits})
    try:
        try:
            for group in groups:
                group.mkdir()
            for group, file, content in limits:
                (group / file).write_text(content)
        except OSError as error:
            pytest.skip(f"needs the right to make a control group ({error})")
        yield "".join(f"echo $$ > {group}/cgroup.procs && " for group in groups)
    finally:
        for group in groups:
            if group.is_dir():
                _remove(group)


def _remove(group: Path) -> None:
    """The kernel lets go of processes that have ended a moment later."""
    for attempt in range(50):
        try:
            return os.rmdir(group)
        except OSError:
            if attempt == 49:
                raise
            time.sleep(0.2)
