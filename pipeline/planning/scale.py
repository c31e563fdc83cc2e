"""How much of a picture the network sees at once, and at which resolution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.planning.choice import Choice

__all__ = ["BOUNDARY_ERROR", "Scale", "choose_scale"]

MULTIPLE = 32
SMALLEST, LARGEST = 128, 768
# The Dice that a resolution may cost: a contour that is off by a tenth of one of the network's pixels all along.
BOUNDARY_ERROR = 0.0045
CONTOUR_PIXELS = 0.1
# Many small things: their surroundings tell what they are, the whole picture does not.
MANY_OBJECTS, SMALL_OBJECT = 6, 0.06
PATCH_SIZES = (192, 384)
SPACING_MODALITIES = ("CT", "MR", "PT")
# A field of view this much larger than nearly all others is a stray: it may not make all others coarse.
STRAY = 1.5


@dataclass(frozen=True)
class Scale:
    """What becomes of a picture's size.

    Attributes:
        mode: "longest": the whole picture, its longer side brought to a size; "spacing": the whole picture at one
            spacing; "patch": parts of the picture at its own resolution.
        size: Network input (W, H), pixels.
        spacing_mm: Target spacing, mm; None but for "spacing".
        choice: The size as it is written, with the reason.
    """

    mode: str
    size: tuple[int, int]
    spacing_mm: float | None
    choice: Choice

    @property
    def megapixels(self) -> float:
        """Of one input of the network."""
        return self.size[0] * self.size[1] / 1e6


def choose_scale(fingerprint: Mapping[str, Any], largest: int = LARGEST) -> Scale:
    """Whole picture or patches, and the size.

    Args:
        fingerprint: The document of `pipeline.fingerprint`.
        largest: Upper limit of the longer side, where time does not allow more.
    """
    if _is_full_of_small_things(fingerprint):
        return _patches(fingerprint)
    spacing = fingerprint["spacing_mm"]
    # A file that could not be read says nothing of the others' pixels.
    cases = fingerprint.get("measured_cases", fingerprint["cases"]["training"] + fingerprint["cases"]["validation"])
    if fingerprint["modality"] in SPACING_MODALITIES and spacing["known"] == cases and spacing["x"]:
        return _one_spacing(fingerprint, largest)
    size, asked = _size(fingerprint, 1.0, largest)
    shape = _box(fingerprint, size)
    why = f"the whole picture, {size} pixels on its longer side: {asked}"
    return Scale("longest", shape, None, Choice(list(shape), why))


def _one_spacing(fingerprint: Mapping[str, Any], largest: int) -> Scale:
    """One spacing at which the largest slice fits into the input: a larger one would be cropped, and not be whole."""
    fields = _fields_mm(fingerprint)
    usual = fields["median"]
    strays = fields["max"] > STRAY * fields["p95"]
    field = fields["p95" if strays else "max"]
    size, asked = _size(fingerprint, field / usual, largest)
    millimetres = _rounded_up(field / size)
    what = f"the {'19 of 20 smaller fields' if strays else 'largest field'} of view ({field:.3g} mm)"
    why = (
        f"the whole slice at {millimetres:g} mm a pixel, by which {what} fit{'' if strays else 's'} into {size} "
        f"pixels, because the scanner's millimetres are known: {asked}"
    )
    return Scale("spacing", (size, size), millimetres, Choice([size, size], why))


def _fields_mm(fingerprint: Mapping[str, Any]) -> Mapping[str, float]:
    """Median, p95 and max of the slices' longer sides, mm."""
    longest, spacing = fingerprint["size"]["longest"], fingerprint["spacing_mm"]
    if "field_mm" in spacing:
        fields: Mapping[str, float] = spacing["field_mm"]
        return fields
    # A fingerprint of a version that did not measure them case by case: as if the largest slice had the largest pixels.
    ends = {end: longest[end] * max(spacing["x"][end], spacing["y"][end]) for end in ("p95", "max")}
    return {"median": longest["median"] * spacing["x"]["median"], **ends}


def _size(fingerprint: Mapping[str, Any], room: float, largest: int) -> tuple[int, str]:
    """The longer side that the contours of a median picture need, pixels, and why.

    Args:
        fingerprint: Of the data.
        room: How much larger the largest picture is that has to fit in at the same scale.
        largest: Upper limit.
    """
    native = fingerprint["size"]["longest"]["median"] * room
    needed = native * _contour_error(fingerprint, 1.0) / BOUNDARY_ERROR
    size = max(SMALLEST, min(_round_up(min(needed, native)), largest))
    error = f"{100 * _contour_error(fingerprint, size / native):.2f}%"
    limit = f"{100 * BOUNDARY_ERROR:.2f}%"
    asked = f"a contour off by {CONTOUR_PIXELS} pixel costs {error} of the area there (asked: {limit})"
    if needed > size:
        asked += "; more is not in the pictures" if size >= native else "; more would take too long"
    return size, asked


def _is_full_of_small_things(fingerprint: Mapping[str, Any]) -> bool:
    classes = fingerprint["classes"].values()
    return any(
        c["cases"] and _objects(c) >= MANY_OBJECTS and c["object_diameter_share"]["median"] < SMALL_OBJECT
        for c in classes
    )


def _objects(measured: Mapping[str, Any]) -> float:
    """How many objects of a class the median picture has: specks, as of noise in a mask, are none."""
    return float(measured.get("counted_objects", measured["objects"])["median"])


def _patches(fingerprint: Mapping[str, Any]) -> Scale:
    classes = [c for c in fingerprint["classes"].values() if c["cases"]]
    diameter = max(c["object_diameter_px"]["p95"] for c in classes)
    objects = max(c["objects"]["median"] for c in classes)
    shortest = min(fingerprint["size"]["width"]["median"], fingerprint["size"]["height"]["median"])
    wanted = _round_up(8 * diameter)
    size = min(max(wanted, PATCH_SIZES[0]), PATCH_SIZES[1], max(MULTIPLE, int(shortest) // MULTIPLE * MULTIPLE))
    why = (
        f"patches at the picture's own resolution, about {objects:g} objects of at most {diameter:.0f} pixels a "
        f"picture: a patch of {size} shows each with its surroundings"
    )
    return Scale("patch", (size, size), None, Choice([size, size], why))


def _contour_error(fingerprint: Mapping[str, Any], zoom: float) -> float:
    """Share of a class's area within a tenth of a pixel of its contour, mean of the classes, at a zoom."""
    shares = [
        CONTOUR_PIXELS * c["boundary_px"]["median"] / (c["area_px"]["median"] * zoom)
        for c in fingerprint["classes"].values()
        if c["cases"] and c["area_px"]["median"]
    ]
    return sum(shares) / len(shares) if shares else 0.0


def _box(fingerprint: Mapping[str, Any], longest: int) -> tuple[int, int]:
    """Width and height: a square, or flatter where no picture is upright, or narrower where none is flat."""
    aspect = fingerprint["size"]["aspect"]
    if aspect["max"] <= 1:
        return longest, _round_up(longest * aspect["max"])
    if aspect["min"] >= 1:
        return _round_up(longest / aspect["min"]), longest
    return longest, longest


def _round_up(pixels: float) -> int:
    return math.ceil(round(pixels, 3) / MULTIPLE) * MULTIPLE


def _rounded_up(millimetres: float) -> float:
    """To three digits, and never down: at a smaller pixel the largest picture would not fit."""
    unit = 10.0 ** (math.floor(math.log10(millimetres)) - 2)
    return float(format(math.ceil(round(millimetres / unit, 6)) * unit, ".3g"))
