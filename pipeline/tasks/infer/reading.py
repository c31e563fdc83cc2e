"""A bundle's pre-processing for threads beside the one that computes."""

from __future__ import annotations

import copy
import threading
from typing import Any

from monai.data import MetaTensor
from monai.transforms import Compose
from monai.utils import TraceKeys

__all__ = ["PreprocessingAside"]


class PreprocessingAside:
    """A chain of which every thread that calls it has a copy.

    Transforms keep things of a call in themselves: the size that a spacing asks for, say, or that keys may be missing
    while another thread undoes them. A picture does not remember which copy changed it, so that the chain itself can
    undo it.

    Args:
        chain: With quicker transforms or without.
    """

    def __init__(self, chain: Compose) -> None:
        self._chain = copy.deepcopy(chain)
        self._own = threading.local()

    def __deepcopy__(self, memo: dict[int, Any]) -> PreprocessingAside:
        return PreprocessingAside(self._chain)

    def __call__(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the case as the chain does."""
        if not hasattr(self._own, "chain"):
            self._own.chain = copy.deepcopy(self._chain)
        out: dict[str, Any] = self._own.chain(case)
        for value in out.values():
            for done in value.applied_operations if isinstance(value, MetaTensor) else []:
                done[TraceKeys.ID] = TraceKeys.NONE  # MONAI's word for: any transform of that class may undo it
        return out
