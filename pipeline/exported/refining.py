"""What a bundle does to finished masks, done without torch and MONAI.

It stands beside the program and not in it: ONNX has no connected regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["KeepLargest", "RemoveSmall", "Step", "refined", "step_from", "step_record"]


@dataclass(frozen=True)
class KeepLargest:
    """MONAI's `KeepLargestConnectedComponentd`; for the attributes see `pipeline.regions.only_largest`."""

    labels: tuple[int, ...] | None
    independent: bool
    connectivity: int
    most: int

    def __call__(self, classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The mask with the largest regions alone, (W, H)."""
        from pipeline.regions import only_largest

        return only_largest(
            classes, self.labels, independent=self.independent, connectivity=self.connectivity, most=self.most
        )


@dataclass(frozen=True)
class RemoveSmall:
    """`pipeline.transforms.RemoveSmallRegionsd`; for the attributes see `pipeline.regions.without_small`."""

    labels: tuple[int, ...]
    min_share: float

    def __call__(self, classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The mask without the small regions, (W, H)."""
        from pipeline.regions import without_small

        return without_small(classes, self.labels, self.min_share)


Step = KeepLargest | RemoveSmall
_KINDS: dict[str, type[KeepLargest] | type[RemoveSmall]] = {"keep_largest": KeepLargest, "remove_small": RemoveSmall}


def refined(classes: npt.NDArray[np.uint8], steps: Sequence[Step]) -> npt.NDArray[np.uint8]:
    """A mask after all steps.

    Args:
        classes: Class indices on the picture's grid, (W, H).
        steps: In their order.
    """
    for step in steps:
        classes = step(classes)
    return classes


def step_record(step: Step) -> dict[str, Any]:
    """A step for program.json."""
    (kind,) = (name for name, its in _KINDS.items() if isinstance(step, its))
    return {"step": kind, **asdict(step)}


def step_from(record: Mapping[str, Any]) -> Step:
    """A step from program.json.

    Raises: KeyError, TypeError: for something else.
    """
    given = dict(record)
    kind = _KINDS[given.pop("step")]
    given["labels"] = None if given["labels"] is None else tuple(map(int, given["labels"]))
    return kind(**given)
