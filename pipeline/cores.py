"""How many cores this process may use, and how many threads it is to compute with."""

from __future__ import annotations

import math
import os

from pipeline.control_groups import cores_left

__all__ = ["asked_threads", "compute_threads", "usable_cores"]


def usable_cores() -> int:
    """The cores that the system lets this process use: those it may run on, and no more than its container's share."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, cores_left())))


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
