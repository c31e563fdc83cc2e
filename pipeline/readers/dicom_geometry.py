"""Where a DICOM picture lies in the patient, and how large its pixels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.geometry import SourceGrid, lps_to_ras

__all__ = [
    "frame_positions",
    "functional_group",
    "grid_of",
    "numbers",
    "orientation_of",
    "plane_affine",
    "spacing_of_film",
]


def functional_group(ds: Any, frame: int, sequence: str) -> Any | None:
    """The item of an enhanced multi-frame object that holds for one frame, or None."""
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or []
    shared = ds.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        if group.get(sequence):
            return group[sequence].value[0]
    return None


def numbers(ds: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """The values of an element, or None unless it holds exactly `count` finite numbers."""
    try:
        value = ds.get(keyword)
        values = (value,) if isinstance(value, (int, float)) else tuple(value or ())
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and np.isfinite(found).all() else None


def spacing_of_film(ds: Any) -> tuple[tuple[float, float] | None, str, str]:
    """Pixel size of a DICOM picture.

    PixelSpacing; without it ImagerPixelSpacing, which is measured at the detector and divided by the magnification
    where that is known; without both NominalScannedPixelSpacing of a digitised film. Zero is no size.

    Returns: Size (x, y) in mm or None, the name of its source, and what a user should know, or "".
    References: DICOM PS3.3, 10.7.1.3 (Pixel Spacing Value Order and Calibration).
    """
    measures = functional_group(ds, 0, "PixelMeasuresSequence")
    told = ""
    for item, keyword in (
        (measures, "PixelSpacing"),
        (ds, "PixelSpacing"),
        (ds, "ImagerPixelSpacing"),
        (ds, "NominalScannedPixelSpacing"),
    ):
        if item is None or item.get(keyword) in (None, ""):
            continue
        found = numbers(item, keyword, 2)
        if found is None or min(found) <= 0:
            told = told or f"{keyword} {item.get(keyword)!s:.40} is no size"
            continue
        row, column = found
        magnification = numbers(ds, "EstimatedRadiographicMagnificationFactor", 1) or (0.0,)
        if keyword == "ImagerPixelSpacing" and magnification[0] > 0:
            source = "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor"
            return (column / magnification[0], row / magnification[0]), source, ""
        return (column, row), keyword, ""
    return None, "unknown", f"{told or 'There is no PixelSpacing'}: sizes are known in pixels only."


def orientation_of(ds: Any, frame: int = 0) -> tuple[float, ...] | None:
    """Direction cosines of the row and of the column (6 numbers, LPS), or None for a film without them."""
    group = functional_group(ds, frame, "PlaneOrientationSequence")
    cosines = numbers(ds if group is None else group, "ImageOrientationPatient", 6)
    if cosines is None:
        return None
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    is_frame = np.allclose([row @ row, column @ column], 1, atol=0.02) and abs(row @ column) < 0.02
    return cosines if is_frame else None


def frame_positions(ds: Any, frames: int) -> npt.NDArray[np.float64] | None:
    """ImagePositionPatient of each frame, mm, LPS, shape (frames, 3); None unless every frame has one."""
    found = []
    for frame in range(frames):
        group = functional_group(ds, frame, "PlanePositionSequence")
        position = numbers(ds if group is None else group, "ImagePositionPatient", 3)
        if position is None or (group is None and frames > 1):
            return None
        found.append(position)
    return np.array(found)


def plane_affine(
    cosines: tuple[float, ...],
    first: npt.ArrayLike,
    step: npt.ArrayLike | None,
    spacing_mm: tuple[float, float],
    thickness_mm: float = 1.0,
) -> npt.NDArray[np.float64]:
    """4×4 RAS+ affine of an array indexed (column, row, slice).

    Args:
        cosines: ImageOrientationPatient.
        first: ImagePositionPatient of the first slice, mm, LPS.
        step: Vector from one slice to the next, mm, LPS; None for a single slice.
        spacing_mm: Pixel size (x, y).
        thickness_mm: Size of a single slice along the normal.
    References: DICOM PS3.3, C.7.6.2.1.1, equation C.7.6.2.1-1.
    """
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    affine = np.eye(4)
    affine[:3, 0] = row * spacing_mm[0]
    affine[:3, 1] = column * spacing_mm[1]
    affine[:3, 2] = np.cross(row, column) * thickness_mm if step is None else step
    affine[:3, 3] = first
    return lps_to_ras(affine)


def grid_of(ds: Any) -> tuple[SourceGrid, npt.NDArray[np.intp] | None]:
    """The grid of one DICOM object, and the order of its frames along the normal (None: as stored)."""
    frames = int(ds.get("NumberOfFrames") or 1)
    shape = (int(ds.Columns), int(ds.Rows), frames)
    spacing_mm = spacing_of_film(ds)[0]
    cosines = orientation_of(ds)
    if cosines is None or any(orientation_of(ds, frame) != cosines for frame in range(1, frames)):
        return SourceGrid.of_picture(shape if frames > 1 else shape[:2], spacing_mm), None
    positions = frame_positions(ds, frames)
    if frames == 1:
        first = positions[0] if positions is not None else np.zeros(3)
        measures = functional_group(ds, 0, "PixelMeasuresSequence")
        thickness = numbers(ds if measures is None else measures, "SliceThickness", 1)
        thickness_mm = thickness[0] if thickness and thickness[0] > 0 else 1.0
        affine = plane_affine(cosines, first, None, spacing_mm or (1.0, 1.0), thickness_mm)
        return SourceGrid.oriented(shape, affine, slice_axis=2), None
    if positions is None:
        return SourceGrid.of_picture(shape, spacing_mm), None
    heights = positions @ np.cross(cosines[:3], cosines[3:])
    if np.ptp(heights) < 1e-3:  # a cine loop at one place
        return SourceGrid.of_picture(shape, spacing_mm), None
    order = np.argsort(heights, kind="stable")
    step = (positions[order[-1]] - positions[order[0]]) / (frames - 1)
    affine = plane_affine(cosines, positions[order[0]], step, spacing_mm or (1.0, 1.0))
    return SourceGrid.oriented(shape, affine, slice_axis=2), order
