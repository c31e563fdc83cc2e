"""Where a DICOM picture lies in the patient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.geometry import SourceGrid, lps_to_ras
from pipeline.readers.dicom_spacing import film_remark, spacing_of_film
from pipeline.readers.functional_groups import functional_group, number_of_frames, numbers
from pipeline.readers.slice_places import passes_of, remarks_on_places

__all__ = ["Layout", "frame_positions", "grid_of", "layout_of", "orientation_of", "plane_affine"]


@dataclass(frozen=True, eq=False)
class Layout:
    """How the frames of one DICOM object lie.

    Attributes:
        grid: Grid of the object, stored as (column, row, frame).
        order: Order of its frames along the normal; None: as stored.
        warnings: What a user should know, one line each.
    """

    grid: SourceGrid
    order: npt.NDArray[np.intp] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def frames_shown(self) -> list[int]:
        """For each slice in display order the number of its frame in the object, from 0."""
        numbered = np.arange(self.grid.shape[2]) if self.order is None else self.order
        return [int(k) for k in (numbered[::-1] if self.grid.flips[2] else numbered)]


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


def layout_of(ds: Any) -> Layout:
    """The grid of one DICOM object and the order of its frames.

    Frames that are no regular volume (a cine loop, several phases or orientations) stay in their order as pictures of
    their own, without a place; where a header suggests otherwise, a warning says so.
    """
    frames = number_of_frames(ds)
    shape = (int(ds.Columns), int(ds.Rows), frames)
    spacing_mm = spacing_of_film(ds)[0]
    cosines = orientation_of(ds)
    if cosines is None:
        remark = film_remark(ds)
        grid = SourceGrid.of_picture(shape if frames > 1 else shape[:2], spacing_mm)
        return Layout(grid, warnings=(remark,) if remark else ())
    if frames == 1:
        positions = frame_positions(ds, 1)
        first = positions[0] if positions is not None else np.zeros(3)
        measures = functional_group(ds, 0, "PixelMeasuresSequence")
        thickness = numbers(ds if measures is None else measures, "SliceThickness", 1)
        thickness_mm = thickness[0] if thickness and thickness[0] > 0 else 1.0
        affine = plane_affine(cosines, first, None, spacing_mm or (1.0, 1.0), thickness_mm)
        return Layout(SourceGrid.oriented(shape, affine, slice_axis=2))
    return _layout_of_frames(ds, shape, cosines, spacing_mm)


def grid_of(ds: Any) -> tuple[SourceGrid, npt.NDArray[np.intp] | None]:
    """The grid of one DICOM object, and the order of its frames along the normal (None: as stored)."""
    layout = layout_of(ds)
    return layout.grid, layout.order


def _layout_of_frames(
    ds: Any, shape: tuple[int, int, int], cosines: tuple[float, ...], spacing_mm: tuple[float, float] | None
) -> Layout:
    frames = shape[2]
    pictures = SourceGrid.of_picture(shape, spacing_mm)
    others = (orientation_of(ds, frame) for frame in range(1, frames))
    if any(other is None or not np.allclose(other, cosines, atol=1e-3) for other in others):
        return Layout(pictures, warnings=("Frames lie in several orientations: each is read as a picture of its own.",))
    if any(functional_group(ds, frame, "PixelMeasuresSequence") for frame in range(1, frames)):
        sizes = {numbers(functional_group(ds, k, "PixelMeasuresSequence"), "PixelSpacing", 2) for k in range(frames)}
        if len(sizes) > 1:
            return Layout(pictures, warnings=("Frames differ in pixel size: that of the first is taken for all.",))
    positions = frame_positions(ds, frames)
    if positions is None:
        return Layout(pictures)
    heights = positions @ np.cross(cosines[:3], cosines[3:])
    if np.ptp(heights) < 1e-3:  # a cine loop at one place
        return Layout(pictures)
    passes = int(passes_of(heights).max()) + 1
    if passes > 1:
        told = f"Up to {passes} frames lie at one place (phases?): each is read as a picture of its own."
        return Layout(pictures, warnings=(told,))
    order = np.argsort(heights, kind="stable")
    step = (positions[order[-1]] - positions[order[0]]) / (frames - 1)
    affine = plane_affine(cosines, positions[order[0]], step, spacing_mm or (1.0, 1.0))
    # Turned by its plane, as each slice is on its own: the steps of a tilted gantry may point to another side.
    upright = plane_affine(cosines, positions[order[0]], None, spacing_mm or (1.0, 1.0))
    grid = replace(SourceGrid.oriented(shape, upright, slice_axis=2), stored_affine=affine)
    return Layout(grid, order, tuple(remarks_on_places(positions[order], cosines)))
