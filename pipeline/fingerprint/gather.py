"""From the measures of cases to the fingerprint of their set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from pipeline.fingerprint.case import CaseMeasures
from pipeline.fingerprint.document import FORMAT, Fingerprint, significant
from pipeline.fingerprint.figures import CaseFigures
from pipeline.fingerprint.histogram import Histogram, Pool, added
from pipeline.fingerprint.order import Order
from pipeline.fingerprint.spread import axial_std_deg, distribution, spread, spread_of

__all__ = ["Gatherer", "SetFacts"]

SHAPES_LISTED = 8
# A class is said to lie inside another if it does in this share of the cases that have both.
NEARLY_ALWAYS = 0.98
# Registration ends a little differently from one processor to the next.
AGREEMENT_DIGITS = 3


@dataclass(frozen=True)
class SetFacts:
    """What the datalist says of a set, and what comparing its pictures gave.

    Attributes:
        name: Name of the set.
        labels: Class names by index, background first.
        modality: DICOM modality, or "unknown".
        measured: The parts whose pixels were measured.
        cases: Number of cases in each part.
        subjects: Number of subjects in each part.
        refused: How often index refused a file, by code.
        warnings: How often index warned, by code.
        near_duplicates: Pairs of pictures on two sides of the split, the most alike first, not too many of them.
        near_duplicates_across: The number of all of them.
        near_duplicates_within: Number of such pairs within one part.
        order: Whether pictures that follow one another look alike.
        volume_slices: Number of the measured cases that are slices of volumes, whose neighbours are there too.
    """

    name: str
    labels: Sequence[str]
    modality: str
    measured: Sequence[str]
    cases: Mapping[str, int]
    subjects: Mapping[str, int]
    refused: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    near_duplicates: Sequence[Mapping[str, Any]] = ()
    near_duplicates_across: int = 0
    near_duplicates_within: int = 0
    order: Order | None = None
    volume_slices: int = 0


class Gatherer:
    """Takes cases one by one and keeps of each no more than a few numbers.

    Args:
        n_classes: Number of classes with the background.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.cases: list[CaseFigures] = []
        self._all = Pool(equal=True)
        self._inside = Pool(equal=True)
        self._by_class = [Pool(equal=True) for _ in range(n_classes)]
        self._channels = [Pool(equal=True) for _ in range(3)]
        self._object_areas = [Pool(equal=False) for _ in range(n_classes)]
        self._object_shares = [Pool(equal=False) for _ in range(n_classes)]

    def add(self, case: CaseMeasures) -> CaseFigures:
        """Take in a case; what is kept of it."""
        whole, inside = added(case.intensity), added(case.intensity[1:])
        self._all.add(whole)
        self._inside.add(inside)
        for pool, histogram in zip(self._by_class, case.intensity, strict=True):
            pool.add(histogram)
        for pool, histogram in zip(self._channels, case.channels or (whole,) * 3, strict=True):
            pool.add(histogram)
        longest = max(case.shape)
        for index, region in case.regions.items():
            areas, counts = np.unique(region.objects, return_counts=True)
            self._object_areas[index].add(Histogram(areas.astype(np.float64), counts.astype(np.int64)))
            self._object_shares[index].add(Histogram.of(np.sqrt(4 / np.pi * region.objects) / longest))
        figures = CaseFigures.of(case, whole)
        self.cases.append(figures)
        return figures

    def fingerprint(self, facts: SetFacts) -> Fingerprint:
        """The fingerprint so far. In intensities and shares each case weighs the same, however large it is.

        Args:
            facts: What is known of the set beside its pixels.
        """
        cases = self.cases
        channels = 3 if 2 * sum(case.coloured for case in cases) > len(cases) else 1
        announced = sum(facts.cases.get(part, 0) for part in facts.measured)
        document = {
            "format": FORMAT,
            "name": facts.name,
            "labels": {str(index): label for index, label in enumerate(facts.labels)},
            "modality": facts.modality,
            "channels": channels,
            "measured": list(facts.measured),
            # Fewer than the parts have, where files could not be read.
            **({"measured_cases": len(cases)} if len(cases) != announced else {}),
            "cases": dict(facts.cases),
            "subjects": dict(facts.subjects),
            "size": _sizes(cases),
            "spacing_mm": _spacings(cases),
            "stored": _stored(cases),
            "intensity": self._intensity(facts.labels, channels),
            "classes": {label: self._class(index) for index, label in enumerate(facts.labels) if index},
            "shape_ranges": _shape_ranges(cases),
            "inside_class": _inside_class(cases, facts.labels),
            "near_duplicates": [
                {**pair, "similarity": round(pair["similarity"], AGREEMENT_DIGITS)} for pair in facts.near_duplicates
            ],
            "near_duplicates_across": facts.near_duplicates_across,
            "near_duplicates_within": facts.near_duplicates_within,
            "order": _order(facts.order),
            "refused": _counted(facts.refused),
            "warnings": _counted(facts.warnings),
            **({"volume_slices": facts.volume_slices} if facts.volume_slices else {}),
        }
        return Fingerprint(significant(document))

    def histograms(self, labels: Sequence[str]) -> dict[str, Histogram]:
        """Pixel values outside all classes and within each, every case with the same weight."""
        found = {"outside": self._by_class[0].result()}
        return found | {label: self._by_class[index].result() for index, label in enumerate(labels) if index}

    def _intensity(self, labels: Sequence[str], channels: int) -> dict[str, Any]:
        whole, inside, outside = self._all.result(), self._inside.result(), self._by_class[0].result()
        contrast = math.nan
        if len(inside.values) and len(outside.values) and whole.std() > 0:
            contrast = abs(inside.quantile(0.5) - outside.quantile(0.5)) / whole.std()
        finite = [case for case in self.cases if math.isfinite(case.mean)]
        return {
            "all": distribution(whole),
            "inside": distribution(inside),
            "outside": distribution(outside),
            "by_class": {
                label: distribution(self._by_class[index].result()) for index, label in enumerate(labels) if index
            },
            "by_channel": [distribution(pool.result()) for pool in self._channels]
            if channels == 3
            else [distribution(whole)],
            "between_cases": {
                "mean": spread(case.mean for case in finite),
                "std": spread(case.std for case in finite),
                "p00_5": spread(case.low for case in finite),
                "p99_5": spread(case.high for case in finite),
            },
            "contrast": contrast,
            "saturated_low": _mean(case.at_lowest for case in finite),
            "saturated_high": _mean(case.at_highest for case in finite),
        }

    def _class(self, index: int) -> dict[str, Any]:
        cases = [(case, case.regions[index]) for case in self.cases if index in case.regions]
        areas = self._object_areas[index].result()
        diameters = Histogram(np.sqrt(4 / np.pi * areas.values), areas.counts)
        pixels = sum(case.pixels for case in self.cases)
        counted = [region.n_counted for _, region in cases]
        usual = Counter(counted).most_common(1)[0][0] if counted else 0
        x, y = ([region.centroid[axis] for _, region in cases] for axis in (0, 1))
        return {
            "cases": len(cases),
            "pixel_share": sum(region.area for _, region in cases) / pixels if pixels else math.nan,
            "area_share": spread(region.area / case.pixels for case, region in cases),
            "area_px": spread(region.area for _, region in cases),
            "objects": spread(region.n_objects for _, region in cases),
            "counted_objects": {**(spread(counted) or {}), "usual_share": _mean(float(n == usual) for n in counted)},
            "object_area_px": spread_of(areas),
            "object_diameter_px": spread_of(diameters),
            "object_diameter_share": spread_of(self._object_shares[index].result()),
            "largest_share": spread(region.largest / region.area for _, region in cases),
            "holes_share": spread(region.hole_area / region.area for _, region in cases),
            "touches_border": _mean(float(region.touches_border) for _, region in cases),
            "centroid": {"x_mean": _mean(x), "x_std": _std(x), "y_mean": _mean(y), "y_std": _std(y)},
            "boundary_px": spread(region.boundary_px for _, region in cases),
        }


def _sizes(cases: Sequence[CaseFigures]) -> dict[str, Any]:
    shapes = Counter(case.shape for case in cases)
    listed = sorted(shapes.items(), key=lambda entry: (-entry[1], entry[0]))[:SHAPES_LISTED]
    return {
        "width": spread(case.shape[0] for case in cases),
        "height": spread(case.shape[1] for case in cases),
        "longest": spread(case.longest for case in cases),
        "aspect": spread(case.shape[1] / case.shape[0] for case in cases),
        "shapes": [[*shape, count] for shape, count in listed],
    }


def _spacings(cases: Sequence[CaseFigures]) -> dict[str, Any]:
    known = [(case.shape, case.spacing_mm) for case in cases if case.spacing_mm is not None]
    found = {
        "known": len(known),
        "x": spread(spacing[0] for _, spacing in known),
        "y": spread(spacing[1] for _, spacing in known),
    }
    if known:
        # Case by case: a picture of more pixels often has smaller ones, which quantiles of either do not tell.
        fields = (max(shape[axis] * spacing[axis] for axis in (0, 1)) for shape, spacing in known)
        found["field_mm"] = spread(fields)
    return found


def _stored(cases: Sequence[CaseFigures]) -> dict[str, Any]:
    return {
        "dtypes": _counted(Counter(case.dtype for case in cases)),
        "formats": _counted(Counter(case.container for case in cases)),
        "colour": sum(case.coloured for case in cases),
        "grey_as_rgb": sum(case.grey_as_colour for case in cases),
        "levels": spread(case.levels for case in cases),
    }


def _shape_ranges(cases: Sequence[CaseFigures]) -> dict[str, Any]:
    found = [(case, case.foreground) for case in cases if case.foreground is not None]
    sizes = [math.log(math.sqrt(4 / math.pi * region.area) / case.longest) for case, region in found]
    return {
        "orientation_std_deg": axial_std_deg(
            (region.axis_rad for _, region in found), (region.elongation for _, region in found)
        ),
        "elongation": spread(region.elongation for _, region in found),
        "scale_std_log": _std(sizes),
        "position_std": [_std(region.centroid[axis] for _, region in found) for axis in (0, 1)],
    }


def _inside_class(cases: Sequence[CaseFigures], labels: Sequence[str]) -> list[list[str]]:
    both = Counter(pair for case in cases for pair in permutations(sorted(case.regions), 2))
    inside = Counter(pair for case in cases for pair in case.inside)
    return [[labels[a], labels[b]] for a, b in sorted(both) if inside[a, b] >= NEARLY_ALWAYS * both[a, b]]


def _order(order: Order | None) -> dict[str, Any] | None:
    if order is None:
        return None
    return {
        "neighbours": round(order.neighbours, AGREEMENT_DIGITS),
        "others": round(order.others, AGREEMENT_DIGITS),
        "above": round(order.above, AGREEMENT_DIGITS),
        "stacked": order.stacked,
    }


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _mean(values: Iterable[float]) -> float:
    array = np.fromiter(values, np.float64)
    return float(array.mean()) if array.size else math.nan


def _std(values: Iterable[float]) -> float:
    array = np.fromiter(values, np.float64)
    return float(array.std()) if array.size else math.nan
