"""A bundle's sliding windows, with the weights of a window computed once, and more of them at once on a GPU."""

from __future__ import annotations

from typing import Any

import torch
from monai.data.utils import compute_importance_map
from monai.inferers import SlidingWindowInferer

__all__ = ["WINDOWS_AT_ONCE", "fewer_windows", "wide_windows"]

# On a GPU, of all pictures of a batch together.
WINDOWS_AT_ONCE = 16


def wide_windows(inferer: Any, device: torch.device) -> Any:
    """The inferer, changed where it is MONAI's for windows of a fixed size; any other as it is.

    Args:
        inferer: Of a bundle.
        device: On which the network computes.
    """
    if type(inferer) is not SlidingWindowInferer:
        return inferer
    if device.type == "cuda":
        inferer.sw_batch_size = max(inferer.sw_batch_size, WINDOWS_AT_ONCE)
    size = inferer.roi_size
    if inferer.roi_weight_map is None and isinstance(size, (list, tuple)) and min(size) > 0:
        # MONAI would make the same map for every batch, and wait for the GPU to do so.
        inferer.roi_weight_map = compute_importance_map(
            tuple(size), mode=inferer.mode, sigma_scale=inferer.sigma_scale, device=device
        )
    return inferer


def fewer_windows(inferer: Any) -> bool:
    """Halve the number of windows that are computed at once; whether there was more than one."""
    inner = getattr(inferer, "inferer", inferer)  # that of a gate's watch
    if type(inner) is not SlidingWindowInferer or inner.sw_batch_size <= 1:
        return False
    inner.sw_batch_size //= 2
    return True
