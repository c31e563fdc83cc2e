"""What is done to finished masks, from what a task says of a class's regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Refining", "Regions", "choose_refinement"]


@dataclass(frozen=True)
class Regions:
    """What is known of the connected regions of a class, or of a union of classes, in a picture.

    Attributes:
        most: As many at most; None for any number.
        least: Share of the picture that each has at least; 0 for any.
    """

    most: int | None = None
    least: float = 0.0


@dataclass(frozen=True)
class Refining:
    """One transform of a bundle's `refinement`, as a MONAI config has it, and why."""

    step: Mapping[str, Any]
    why: str


def choose_refinement(
    regions: Mapping[str, Regions], labels: tuple[str, ...], unions: Mapping[str, tuple[str, ...]]
) -> tuple[Refining, ...]:
    """Small regions go first, then all but the largest.

    Args:
        regions: Of a task, by class or union.
        labels: Class names, background first.
        unions: Name → classes that are one thing together.
    """
    found = []
    for name, known in regions.items():
        numbers = [labels.index(part) for part in unions.get(name, (name,))]
        if known.least:
            step = {"_target_": "pipeline.transforms.RemoveSmallRegionsd", "keys": "pred", "applied_labels": numbers,
                    "min_share": known.least}  # fmt: skip
            found.append(Refining(step, f"'{name}' has {known.least:.2%} of a picture at least, the task says"))
        if known.most is not None:
            # A union is one thing: its classes may touch, and go or stay together.
            step = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": numbers,
                    "independent": False, "num_components": known.most}  # fmt: skip
            what = f"{known.most} connected region" + "s" * (known.most > 1)
            found.append(Refining(step, f"'{name}' is {what} at most, the task says"))
    return tuple(found)
