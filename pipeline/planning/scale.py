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
    native = fingerprint["size"]["longest"]["median"]
    if _is_full_of_small_things(fingerprint):
        return _patches(fingerprint)
    needed = _needed_size(fingerprint)
    size = max(SMALLEST, min(_round_up(min(needed, native)), _round_up(native), largest))
    error = f"{100 * _contour_error(fingerprint, size / native):.2f}%"
    limit = f"{100 * BOUNDARY_ERROR:.2f}%"
    asked = f"a contour off by {CONTOUR_PIXELS} pixel costs {error} of the area there (asked: {limit})"
    if needed > size:
        asked += "; more is not in the pictures" if size >= native else "; more would take too long"
    spacing = fingerprint["spacing_mm"]
    cases = fingerprint["cases"]["training"] + fingerprint["cases"]["validation"]
    if fingerprint["modality"] in SPACING_MODALITIES and spacing["known"] >= 0.99 * cases and spacing["x"]:
        millimetres = float(format(spacing["x"]["median"] * native / size, ".2g"))
        why = f"the whole slice at {millimetres:g} mm a pixel, because the scanner's millimetres are known: {asked}"
        return Scale("spacing", (size, size), millimetres, Choice([size, size], why))
    shape = _box(fingerprint, size)
    why = f"the whole picture, {size} pixels on its longer side: {asked}"
    return Scale("longest", shape, None, Choice(list(shape), why))


def _is_full_of_small_things(fingerprint: Mapping[str, Any]) -> bool:
    classes = fingerprint["classes"].values()
    return any(
        c["cases"] and c["objects"]["median"] >= MANY_OBJECTS and c["object_diameter_share"]["median"] < SMALL_OBJECT
        for c in classes
    )


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


def _needed_size(fingerprint: Mapping[str, Any]) -> float:
    native: float = fingerprint["size"]["longest"]["median"]
    return native * _contour_error(fingerprint, 1.0) / BOUNDARY_ERROR


def _box(fingerprint: Mapping[str, Any], longest: int) -> tuple[int, int]:
    """Width and height: a square, or flatter where all pictures are."""
    aspect = fingerprint["size"]["aspect"]
    if aspect["max"] > 1.15 * aspect["min"]:
        return longest, longest
    if aspect["max"] <= 1:
        return longest, _round_up(longest * aspect["max"])
    return _round_up(longest / aspect["min"]), longest


def _round_up(pixels: float) -> int:
    return math.ceil(round(pixels, 3) / MULTIPLE) * MULTIPLE
