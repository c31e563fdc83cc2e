"""How many cores this process may use, and how many threads it is to compute with."""

from __future__ import annotations

import os

__all__ = ["asked_threads", "usable_cores"]


def usable_cores() -> int:
    """The cores that the system lets this process run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def asked_threads() -> int | None:
    """What OMP_NUM_THREADS says, by which users and clusters give a process its share; None if it does not say."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return max(1, int(said)) if said.isdecimal() else None
