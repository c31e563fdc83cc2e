"""What may be done to the masks of a class, and how much of it the reference masks allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.regions import regions_of

__all__ = ["Candidate", "ReferenceRegions", "fills_of", "removals_of"]

# More regions than that in a picture are things to be counted, of which none is the largest by right.
MOST_REGIONS = 4
QUANTILES = (0.01, 0.05, 0.25)
LEAST_PIXELS = 2
SPECK = 0.01  # of the class in the image: what a drawing tool leaves behind is not counted as a region


@dataclass(frozen=True)
class Candidate:
    """One thing that may be done.

    Attributes:
        said: In words.
        step: As a MONAI config has it.
    """

    said: str
    step: dict[str, Any]


@dataclass
class ReferenceRegions:
    """The regions of a class in the reference masks: how many in an image, and which share of it each has."""

    counts: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    pixels: list[int] = field(default_factory=list)

    def add(self, mask: npt.NDArray[np.bool_]) -> None:
        """Take in one image's mask, (W, H)."""
        _, sizes = regions_of(mask)
        if len(sizes):
            self.counts.append(int((sizes >= SPECK * sizes.sum()).sum()))
            self.shares += (sizes / mask.size).tolist()
            self.pixels.append(mask.size)


def removals_of(label: int, regions: ReferenceRegions) -> list[Candidate]:
    """Keep the n largest regions, up to as many as nearly all references have; or those of at least some size."""
    if not regions.counts:
        return []
    found = []
    most = int(np.ceil(np.quantile(regions.counts, 0.95)))
    if most <= MOST_REGIONS:
        for number in range(1, most + 1):
            found.append(
                Candidate(
                    f"keep the {number} largest regions" if number > 1 else "keep the largest region",
                    {
                        "_target_": "KeepLargestConnectedComponentd",
                        "keys": "pred",
                        "applied_labels": [label],
                        "num_components": number,
                    },
                )
            )
    least = LEAST_PIXELS / float(np.median(regions.pixels))
    shares = sorted({float(f"{np.quantile(regions.shares, q):.2g}") for q in QUANTILES})
    for share in shares:
        if share > least:
            found.append(
                Candidate(
                    f"remove regions below {share:.2g} of the picture",
                    {
                        "_target_": "pipeline.transforms.RemoveSmallRegionsd",
                        "keys": "pred",
                        "applied_labels": [label],
                        "min_share": share,
                    },
                )
            )
    return found


def fills_of(label: int) -> list[Candidate]:
    """Fill holes."""
    return [Candidate("fill holes", {"_target_": "FillHolesd", "keys": "pred", "applied_labels": [label]})]
