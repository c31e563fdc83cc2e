"""The page of `planar inspect`: what a set looks like, in figures and in pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.datalist import Finding
from pipeline.fingerprint import CaseFigures, Fingerprint, Histogram, remarks
from pipeline.report.chart import Axis, Chart, colour
from pipeline.report.page import number, percent, render

__all__ = ["PairShown", "SampleShown", "SetShown", "fingerprint_page", "intensity_chart"]

BINS = 96
# Findings of one kind that are named one by one; the datalist has them all.
NAMED = 8
# More dots than this make a page slow and a chart black.
MOST_DOTS = 1500
# A peak of a histogram is shown up to this many times the height of the middle one.
PEAK = 3.0

SPREAD = {"min": "least", "p05": "5 %", "median": "median", "mean": "mean", "p95": "95 %", "max": "most"}
PIXELS = {"min": "least", "p00_5": "0.5 %", "p05": "5 %", "p25": "25 %", "median": "median", "p75": "75 %"}
PIXELS |= {"p95": "95 %", "p99_5": "99.5 %", "max": "most", "mean": "mean", "std": "std"}


@dataclass(frozen=True)
class SampleShown:
    """A case in pictures.

    Attributes:
        plain, outlined: Data URIs.
        name: Its image.
        reasons: What it is shown for.
        tip: Its figures.
    """

    plain: str
    outlined: str
    name: str
    reasons: Sequence[str]
    tip: str


@dataclass(frozen=True)
class PairShown:
    """Two pictures that are nearly the same; the second is laid down as the first.

    Attributes:
        first, second: Data URIs.
        pair: As in the fingerprint's `near_duplicates`.
    """

    first: str
    second: str
    pair: Mapping[str, Any]


@dataclass(frozen=True)
class SetShown:
    """All that the page shows.

    Attributes:
        fingerprint: The fingerprint.
        names: Names of the measured cases.
        cases: Their figures.
        histograms: Pixel values by region.
        samples: Cases in pictures.
        pairs: Near-duplicates in pictures.
        colours: Colour of each class in the pictures, red, green and blue.
        refused, warnings: What index and this inspection found.
    """

    fingerprint: Fingerprint
    names: Sequence[str]
    cases: Sequence[CaseFigures]
    histograms: Mapping[str, Histogram]
    samples: Sequence[SampleShown]
    pairs: Sequence[PairShown]
    colours: Mapping[str, tuple[int, int, int]]
    refused: Sequence[Finding]
    warnings: Sequence[Finding]


def fingerprint_page(shown: SetShown) -> str:
    """The page as HTML."""
    document = shown.fingerprint.document
    values, cut = intensity_chart(shown.histograms)
    return render(
        "fingerprint.html.j2",
        document=document,
        remarks=remarks(shown.fingerprint),
        facts=_facts(document),
        size_rows=_size_rows(document),
        size_charts=_size_charts(shown),
        intensity_rows=_intensity_rows(document),
        intensity_chart=values,
        cut=cut,
        exposure_chart=_exposure_chart(shown),
        class_rows=_class_rows(document),
        object_rows=_object_rows(document),
        class_charts=_class_charts(shown),
        spread_columns=["", *SPREAD.values()],
        pixel_columns=["", *PIXELS.values()],
        samples=shown.samples,
        keys=[(name, f"rgb({red}, {green}, {blue})") for name, (red, green, blue) in shown.colours.items()],
        pairs=shown.pairs,
        refused=_findings(shown.refused),
        warnings=_findings(shown.warnings),
    )


def intensity_chart(histograms: Mapping[str, Histogram]) -> tuple[Markup, bool]:
    """How often each value occurs, as a share of the region's pixels, and whether a peak was cut off."""
    known = {name: histogram for name, histogram in histograms.items() if len(histogram.values)}
    if not known:
        return Markup(""), False
    low = min(histogram.quantile(0.001) for histogram in known.values())
    high = max(histogram.quantile(0.999) for histogram in known.values())
    whole = all((histogram.values == np.rint(histogram.values)).all() for histogram in known.values())
    # Bins of whole values, or some would hold one value more than their neighbours and make a comb.
    step = math.ceil((high - low + 1) / BINS) if whole else (high - low) / BINS or 1.0
    edges = (low - 0.5 if whole else low) + step * np.arange(math.ceil((high - low + whole) / step) + 1)
    lines = {}
    for name, histogram in known.items():
        if whole:
            counts, _ = np.histogram(histogram.values, bins=edges, weights=histogram.counts.astype(np.float64))
        else:  # floats were counted in steps, which must not beat with the bins
            counts = np.diff(np.interp(edges, histogram.values, np.cumsum(histogram.counts), left=0))
        lines[name] = 100 * counts / histogram.total
    peaks = [float(line.max()) for line in lines.values()]
    # A blank border is one peak that would press all else flat.
    top = 1.05 * min(max(peaks), PEAK * sorted(peaks)[len(peaks) // 2 - (len(peaks) % 2 == 0)])
    chart = Chart(Axis("stored value", float(edges[0]), float(edges[-1])), Axis("% of the region's pixels", 0.0, top))
    middle = (edges[1:] + edges[:-1]) / 2
    for place, (name, line) in enumerate(lines.items()):
        chart.line(zip(middle.tolist(), np.minimum(line, top).tolist(), strict=True), colour(place), name=name)
    return chart.svg("How often each pixel value occurs, by region"), max(peaks) > top


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = document["cases"]
    size, stored = document["size"], document["stored"]
    spacing = document["spacing_mm"]
    known = "unknown" if not spacing["known"] else f"{number(spacing['x']['median'])} mm"
    return [
        ("Cases", number(sum(parts.values()))),
        ("Subjects", number(sum(document["subjects"].values()))),
        ("Modality", document["modality"]),
        ("Channels", "3, colour" if document["channels"] == 3 else "1, grey"),
        ("Size, median", f"{size['width']['median']:.0f} × {size['height']['median']:.0f} px"),
        ("Pixel size, median", known),
        ("Stored as", f"{', '.join(stored['formats'])}; {', '.join(stored['dtypes'])}"),
        ("Classes", ", ".join(document["classes"])),
    ]


def _row(name: str, spread: Mapping[str, float] | None, columns: Mapping[str, str], show: Any = number) -> list[str]:
    return [name, *("–" if spread is None else show(spread[key]) for key in columns)]


def _size_rows(document: Mapping[str, Any]) -> list[list[str]]:
    size, spacing = document["size"], document["spacing_mm"]
    rows = [_row(f"{name}, px", size[name], SPREAD) for name in ("width", "height", "longest")]
    rows.append(_row("height / width", size["aspect"], SPREAD))
    if spacing["known"]:
        rows += [_row(f"pixel size {axis}, mm", spacing[axis], SPREAD) for axis in ("x", "y")]
    if "field_mm" in spacing:
        rows.append(_row("longer side, mm", spacing["field_mm"], SPREAD))
    rows.append(_row("distinct values a picture", document["stored"]["levels"], SPREAD))
    return rows


def _intensity_rows(document: Mapping[str, Any]) -> list[list[str]]:
    intensity = document["intensity"]
    rows = [_row("all pixels", intensity["all"], PIXELS), _row("outside all classes", intensity["outside"], PIXELS)]
    if len(intensity["by_class"]) > 1:
        rows.append(_row("inside any class", intensity["inside"], PIXELS))
    rows += [_row(name, found, PIXELS) for name, found in intensity["by_class"].items()]
    if len(intensity["by_channel"]) == 3:
        channels = zip(("red", "green", "blue"), intensity["by_channel"], strict=True)
        rows += [_row(name, found, PIXELS) for name, found in channels]
    return rows


def _class_rows(document: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, found in document["classes"].items():
        area = found["area_share"]
        shares = ["–"] * 3 if area is None else [percent(area[key], 2) for key in ("p05", "median", "p95")]
        largest, holes = found["largest_share"], found["holes_share"]
        rows.append(
            [
                name,
                number(found["cases"]),
                percent(found["pixel_share"], 2),
                *shares,
                percent(largest["median"] if largest else None),
                percent(holes["p95"] if holes else None, 2),
                percent(found["touches_border"], 0),
            ]
        )
    return rows


def _object_rows(document: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, found in document["classes"].items():
        rows.append(_row(f"{name}: objects a case", found["objects"], SPREAD))
        rows.append(_row(f"{name}: area of an object, px", found["object_area_px"], SPREAD))
        rows.append(_row(f"{name}: diameter of an object, px", found["object_diameter_px"], SPREAD))
        rows.append(_row(f"{name}: boundary a case, px", found["boundary_px"], SPREAD))
    return rows


def _thinned(shown: SetShown) -> list[tuple[str, CaseFigures]]:
    """The cases as dots: all of them, or evenly chosen ones of very many."""
    both = list(zip(shown.names, shown.cases, strict=True))
    return both[:: max(1, -(-len(both) // MOST_DOTS))]


def _size_charts(shown: SetShown) -> list[Markup]:
    dots = [(name, case.shape) for name, case in _thinned(shown)]
    if len({shape for _, shape in dots}) < 2:
        return []
    chart = Chart(
        Axis.around("width, px", (shape[0] for _, shape in dots)),
        Axis.around("height, px", (shape[1] for _, shape in dots)),
    )
    chart.dots(((*shape, f"{name}\n{shape[0]} × {shape[1]} px") for name, shape in dots), colour(0))
    return [chart.svg("Width and height of each picture")]


def _exposure_chart(shown: SetShown) -> Markup:
    dots = [(name, case) for name, case in _thinned(shown) if math.isfinite(case.mean)]
    chart = Chart(
        Axis.around("mean value of the picture", (case.mean for _, case in dots)),
        Axis.around("standard deviation", (case.std for _, case in dots)),
    )
    tips = (f"{name}\nmean {number(case.mean)}, standard deviation {number(case.std)}" for name, case in dots)
    chart.dots(((case.mean, case.std, tip) for (_, case), tip in zip(dots, tips, strict=True)), colour(0))
    return chart.svg("Mean and standard deviation of each picture's values")


def _class_charts(shown: SetShown) -> list[tuple[str, Markup]]:
    """Where each class lies and how large it is, a dot a case."""
    labels = list(shown.fingerprint["labels"].values())
    cases = _thinned(shown)
    sizes, places = [], []
    for index, label in enumerate(labels):
        for name, case in cases if index else ():
            region = case.regions.get(index)
            if region is not None:
                share = 100 * region.area / case.pixels
                tip = f"{name}: {label}\n{number(share)} % of the picture, {region.n_objects} objects"
                sizes.append((index, share, region.n_objects, tip))
                places.append((index, *region.centroid, tip))
    if not sizes:
        return []
    area = Chart(
        Axis.around("area, % of the picture", (share for _, share, _, _ in sizes), include=(0,)),
        Axis.around("objects a case", (count for _, _, count, _ in sizes), include=(0,)),
    )
    # The y axis of a picture points down.
    where = Chart(
        Axis("from left to right", 0, 1, (0, 0.5, 1)), Axis("from bottom to top", 0, 1, (0, 0.5, 1)), height=340
    )
    for index, label in enumerate(labels):
        if index:
            area.dots(
                ((x, y, tip) for k, x, y, tip in sizes if k == index), colour(index - 1), name=label, shape=index - 1
            )
            where.dots(
                ((x, 1 - y, tip) for k, x, y, tip in places if k == index),
                colour(index - 1),
                name=label,
                shape=index - 1,
            )
    return [
        ("Area and number of objects, a dot for each case and class.", area.svg("Area and number of objects by class")),
        ("Centre of each class in its picture, a dot for each case.", where.svg("Where the classes lie")),
    ]


def _findings(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings by kind: how many, and the first few by name."""
    codes = sorted({finding.code for finding in findings})
    groups = []
    for code in codes:
        found = [finding for finding in findings if finding.code == code]
        groups.append({"code": code.replace("_", " "), "count": len(found), "named": found[:NAMED]})
    return sorted(groups, key=lambda group: -int(group["count"]))
