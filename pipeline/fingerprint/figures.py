"""The few numbers that are kept of each case while a set is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.fingerprint.case import CaseMeasures
from pipeline.fingerprint.histogram import Histogram
from pipeline.fingerprint.regions import Region

__all__ = ["CaseFigures"]

NO_OBJECTS = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class CaseFigures:
    """What stays of a case after its histograms went into the pools.

    Attributes:
        levels: Number of distinct pixel values.
        mean, std: Of all its pixel values.
        low, high: Their 0.5 and 99.5 percentiles.
        at_lowest, at_highest: Share of the pixels at the lowest and the highest value.
        regions, foreground: As in `CaseMeasures`, without the single objects.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    dtype: str
    container: str
    coloured: bool
    grey_as_colour: bool
    levels: int
    mean: float
    std: float
    low: float
    high: float
    at_lowest: float
    at_highest: float
    regions: Mapping[int, Region]
    foreground: Region | None
    inside: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, case: CaseMeasures, whole: Histogram) -> CaseFigures:
        """The figures of a case whose pixel values, of all classes together, are `whole`."""
        known = len(whole.values) > 0
        return cls(
            shape=case.shape,
            spacing_mm=case.spacing_mm,
            dtype=case.dtype,
            container=case.container,
            coloured=case.coloured,
            grey_as_colour=case.grey_as_colour,
            levels=len(whole.values),
            mean=whole.mean() if known else math.nan,
            std=whole.std() if known else math.nan,
            low=whole.quantile(0.005) if known else math.nan,
            high=whole.quantile(0.995) if known else math.nan,
            at_lowest=whole.share_at(0) if known else math.nan,
            at_highest=whole.share_at(-1) if known else math.nan,
            regions={index: _slim(region) for index, region in case.regions.items()},
            foreground=None if case.foreground is None else _slim(case.foreground),
            inside=case.inside,
        )

    @property
    def longest(self) -> int:
        """The longer side, pixels."""
        return max(self.shape)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]


def _slim(region: Region) -> Region:
    return replace(region, objects=NO_OBJECTS)
