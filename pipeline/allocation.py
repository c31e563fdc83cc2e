"""How a process gets its memory from the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["keep_freed_memory"]

# Of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep what is freed for the next request; the process stays as large as it has ever been.

    By default glibc takes every block above some megabytes from the system and gives it back when freed. A network's
    feature maps are such blocks, and the system writes zeros over each one before it hands it out again. Measured on
    two cores, 16-32-64-128-160-192 in bfloat16: a training step 1.10 (256²) and 1.24 times as quick (512²), inference
    1.24 and 1.5 times.

    Returns: Whether there was such a setting: not outside Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
