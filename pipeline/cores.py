"""How many cores this process may use, and how many threads it is to compute with."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["asked_threads", "compute_threads", "usable_cores"]

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The cores that the system lets this process use: those it may run on, and no more than its container's share."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _share())))


def asked_threads() -> int | None:
    """What OMP_NUM_THREADS says, by which users and clusters give a process its share; None if it does not say."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return max(1, int(said)) if said.isdecimal() else None


def compute_threads(workers: int = 0) -> int:
    """The threads to compute with: those asked for, else one a usable core, less what other processes take of them.

    Args:
        workers: Processes beside, such as those that load pictures: threads that share a core with one wait for it.
    """
    return max(1, (asked_threads() or usable_cores()) - workers)


def _share() -> float:
    """The cores' worth of time that Linux's control groups leave this process; infinite without a limit.

    Of the groups' first version a container's limit is seen, and none of groups within it.
    """
    try:
        own = next(line for line in OWN_GROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "0::/"
    group = GROUPS / own.removeprefix("0::").strip("/")
    # A limit of any group round this one holds. Within a container its own group is the root of what is to be seen.
    limits = [_limit(one / "cpu.max") for one in (group, *group.parents) if one.is_relative_to(GROUPS)]
    return min([*limits, _limit(GROUPS / "cpu" / "cpu.cfs_quota_us", GROUPS / "cpu" / "cpu.cfs_period_us")])


def _limit(*files: Path) -> float:
    """Microseconds of processor time a period by the period's length, from one file or two; infinite if there is none.

    References: Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (version 1).
    """
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such file, and "max" in the place of a number
        return math.inf
