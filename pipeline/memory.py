"""How much memory there is for what a training keeps decoded."""

from __future__ import annotations

import os

from pipeline.control_groups import memory_left

__all__ = ["CACHE_SHARE", "half_of_memory_gb", "share_in_memory"]

# Of the half of a machine's memory that a training may use, what decoded pictures may take.
CACHE_SHARE = 0.4


def half_of_memory_gb() -> float:
    """Half of this machine's memory, or of what a container may take of it, GB."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 16e9
    return min(whole, memory_left()) / 2e9


def share_in_memory(decoded_gb: float) -> float:
    """The share of decoded cases that stays in memory, for `CacheDataset`; of several processes each keeps its own.

    Args:
        decoded_gb: What all cases would take, GB.
    Returns: More than 0 and at most 1, in hundredths.
    """
    room = CACHE_SHARE * half_of_memory_gb() / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return 1.0 if decoded_gb <= room else max(1, int(100 * room / decoded_gb)) / 100
