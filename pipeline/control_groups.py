"""What Linux's control groups leave this process: a container's share of processors and memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cores_left", "memory_left"]

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def cores_left() -> float:
    """Cores' worth of time; infinite without a limit.

    References: Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (version 1).
    """
    limits = [_ratio(group / "cpu.max") for group in _groups()]
    return min([*limits, _ratio(GROUPS / "cpu" / "cpu.cfs_quota_us", GROUPS / "cpu" / "cpu.cfs_period_us")])


def memory_left() -> float:
    """Bytes; infinite without a limit.

    References: Linux, Documentation/admin-guide/cgroup-v2.rst (memory.max) and cgroup-v1/memory.rst (version 1).
    """
    return min(map(_number, [*(group / "memory.max" for group in _groups()), GROUPS / "memory/memory.limit_in_bytes"]))


def _groups() -> Iterator[Path]:
    """The groups round this process, whose limits all hold; of version 1 a container's own alone is known here.

    Within a container its own group is the root of what is to be seen.
    """
    try:
        own = next(line for line in OWN_GROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "0::/"
    group = GROUPS / own.removeprefix("0::").strip("/")
    yield from (one for one in (group, *group.parents) if one.is_relative_to(GROUPS))


def _ratio(*files: Path) -> float:
    """Microseconds a period by the period's length, from one file or two; infinite if there is no limit."""
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such file, and "max" in the place of a number
        return math.inf


def _number(file: Path) -> float:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return math.inf
