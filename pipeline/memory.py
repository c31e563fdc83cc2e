"""How much memory there is for what a training keeps decoded, and whether a GPU's was not enough."""

from __future__ import annotations

import os
import sys

from pipeline.control_groups import memory_left

__all__ = ["CACHE_SHARE", "half_of_memory_gb", "is_gpu_full", "share_in_memory"]

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


# Torch has an error of its own for its allocator alone: the driver and the libraries tell theirs as a plain one.
GPU_FULL = ("CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")


def is_gpu_full(error: BaseException) -> bool:
    """Whether an error says that a GPU has no memory left."""
    torch = sys.modules.get("torch")  # what was not loaded has not raised it
    if torch is None or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(words in str(error) for words in GPU_FULL)
