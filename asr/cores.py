"""The number of cores that this process may use, by its affinity and its container's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Number of usable cores, at least 1. A quota of 1.5 cores counts as 2, to use all of it."""
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, math.ceil(min(bound, quota_cores())))


def default_threads() -> int:
    """OMP_NUM_THREADS if it is set, as in torch; otherwise the number of usable cores."""
    requested = os.environ.get("OMP_NUM_THREADS", "")
    if requested.isdigit() and int(requested):
        return int(requested)
    return available_cores()


def quota_cores(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> float:
    """The smallest quota of this process's control groups, in cores; infinity without a quota.

    Args:
        cgroups: their mount point, version 2 (`cpu.max`) or 1 (`cpu.cfs_quota_us`).
        membership: lines of `number:controllers:path`, one for each hierarchy.
    """
    smallest = math.inf
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not on Linux
        return smallest
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 1 has one folder per hierarchy. A container may see its own group as the root.
        for mounted in (cgroups / controllers, cgroups / "cpu") if controllers else (cgroups,):
            group = mounted / path.strip("/")
            for folder in (group, *group.parents):
                smallest = min(smallest, _quota_of(folder))
                if folder == mounted:
                    break
    return smallest


def _quota_of(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return math.inf
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return math.inf  # "max", or -1
    return int(quota) / int(period)
