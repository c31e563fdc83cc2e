"""The cases of a batch that a change is drawn for: picked out, changed together, put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["changed", "chosen", "on_device", "per_case"]


def chosen(drawn: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """The cases that something was drawn for, and what: None is "stays as it is"."""
    return (
        [number for number, one in enumerate(drawn) if one is not None],
        [one for one in drawn if one is not None],
    )


def on_device(values: torch.Tensor | npt.ArrayLike, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Numbers that were drawn on the host, on the device; the host does not wait for what the device still computes.

    Copying ordinary memory to a GPU waits until its queue is empty; copying from page-locked memory does not.
    """
    host = (values if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values))).to(dtype)
    if device.type != "cuda":
        return host.to(device)
    return host.pin_memory().to(device, non_blocking=True)


def per_case(values: npt.ArrayLike, like: torch.Tensor) -> torch.Tensor:
    """One number a case, shape (n, 1, 1, 1), where and what `like` is."""
    return on_device(values, like.device, like.dtype).reshape(-1, 1, 1, 1)


def changed(batch: torch.Tensor, which: Sequence[int], change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """A batch with some of its cases changed together, in their place: a copy of all would cost more than the change.

    Args:
        batch: Shape (B, …); changed, unless all of its cases are.
        which: Numbers of the cases.
        change: From those cases, shape (n, …), to what takes their place.
    """
    if not which:
        return batch
    if len(which) == len(batch):
        return change(batch)
    index = on_device(which, batch.device, torch.int64)
    return batch.index_copy_(0, index, change(batch.index_select(0, index)).to(batch.dtype))
