"""DICOM segmentations (SEG) as masks: the numbers of their segments, on the grid of the image that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.archives import time_of_change
from pipeline.errors import UnsupportedImage
from pipeline.geometry import SourceGrid
from pipeline.readers.dicom import dataset_of
from pipeline.readers.dicom_decoding import stored_pixels
from pipeline.readers.dicom_geometry import plane_affine
from pipeline.readers.picture import Picture
from pipeline.readers.segmentation_header import Segmentation, described, segmentation_of
from pipeline.readers.slice_places import PLACE_MM, remarks_on_places

__all__ = ["mask_of_instance", "places_of_planes", "segmentation_picture"]

# A fractional segment is taken where it is at least this part of its largest value.
HALF = 0.5


def mask_of_instance(path: str, uid: str, frame: int = 0) -> Picture:
    """What a segmentation says of one image.

    Args:
        path: The segmentation.
        uid: SOPInstanceUID of the image.
        frame: Its frame, from 1; 0 for an image of one frame.
    Returns: Segment numbers (W, H) in display orientation; all 0 where the segmentation found nothing. Where segments
        overlap, the higher number wins.
    Raises: UnsupportedImage: if the file is no segmentation, or does not refer to the image.
    """
    seg, pixels = _decoded(path, time_of_change(path))
    chosen = seg.frames_of(uid, frame)
    if not seg.refers_to(uid, frame):
        raise UnsupportedImage(f"{path}: the segmentation does not refer to the image it is to be the mask of.")
    mask, overlap = _painted(seg, pixels, chosen)
    grid, placed = _grid_of_plane(seg, chosen)
    return _picture(path, seg, mask, grid, overlap, placed=placed)


def places_of_planes(path: str) -> list[tuple[float, ...] | None]:
    """ImagePositionPatient of each plane of `read_picture(path, labels=True)`, in its order; None where it has none.

    Raises: UnsupportedImage: if the file is no DICOM segmentation.
    """
    seg = segmentation_of(path)
    planes = _planes(seg)
    places = [seg.positions[chosen[0]] for chosen in planes]
    return places[::-1] if len(planes) > 1 and _grid_of_planes(seg, planes)[0].flips[2] else places


def segmentation_picture(path: str, ds: Any) -> Picture:
    """The whole segmentation as a volume of segment numbers, its planes in display order; a picture if it has one.

    Planes without a frame are not there: a segmentation leaves out what is empty. Where segments overlap, the higher
    number wins.

    Raises: UnsupportedImage: if it has no frames.
    """
    seg = described(path, ds)
    if not seg.frames:
        raise UnsupportedImage(f"{path}: the segmentation is empty: it has no frames.")
    pixels = _Pixels(path, ds, seg)
    planes = _planes(seg)
    painted = [_painted(seg, pixels, chosen) for chosen in planes]
    if len(planes) == 1:
        grid, placed = _grid_of_plane(seg, planes[0])
        return _picture(path, seg, painted[0][0], grid, painted[0][1], placed=placed)
    volume = np.stack([mask for mask, _ in painted], axis=2)
    grid, told = _grid_of_planes(seg, planes)
    picture = _picture(path, seg, volume, grid, sum(count for _, count in painted), placed=True)
    return replace(picture, warnings=picture.warnings + told)


class _Pixels:
    """The frames of a segmentation, packed: one bit a pixel but for label maps."""

    def __init__(self, path: str, ds: Any, seg: Segmentation) -> None:
        self.shape, self.labels = seg.shape, seg.kind == "LABELMAP"
        self.frames: list[npt.NDArray[Any]] = []
        if not seg.frames:
            return
        pixels, _ = stored_pixels(path, ds)
        if seg.kind == "FRACTIONAL":
            pixels = pixels >= HALF * int(ds.get("MaximumFractionalValue") or 255)
        pixels = pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels
        frames = (pixels[:, :, k] for k in range(pixels.shape[2]))
        self.frames = [frame.copy() if self.labels else np.packbits(frame > 0) for frame in frames]

    def __getitem__(self, frame: int) -> npt.NDArray[Any]:
        """Labels, or whether a pixel belongs to the frame's segment, (columns, rows)."""
        packed = self.frames[frame]
        if self.labels:
            return packed
        return np.unpackbits(packed, count=self.shape[0] * self.shape[1]).reshape(self.shape).view(bool)


@lru_cache(maxsize=8)
def _decoded(path: str, _changed: tuple[int, int]) -> tuple[Segmentation, _Pixels]:
    """A segmentation, kept because a data loader asks for one image of it after the other."""
    ds = dataset_of(path)
    seg = described(path, ds)
    return seg, _Pixels(path, ds, seg)


def _painted(seg: Segmentation, pixels: _Pixels, chosen: Sequence[int]) -> tuple[npt.NDArray[Any], int]:
    """Segment numbers of one plane, stored orientation, and how many pixels belong to several segments."""
    if seg.kind == "LABELMAP" and chosen:
        return pixels[chosen[-1]], 0
    largest = max((number for number, _ in seg.segments), default=0)
    mask = np.zeros(seg.shape, np.uint8 if largest < 256 else np.uint16)
    overlap = 0
    for frame in sorted(chosen, key=lambda k: seg.frames[k][0]):
        inside = pixels[frame]
        segment = seg.frames[frame][0]
        overlap += int(np.count_nonzero(inside & (mask != 0) & (mask != segment)))
        mask[inside] = segment
    return mask, overlap


def _planes(seg: Segmentation) -> list[list[int]]:
    """The frames of each plane: by place where frames have one, else by the image that they belong to."""
    planes: dict[Any, list[int]] = {}
    if seg.cosines is not None and all(place is not None for place in seg.positions):
        heights = np.array(seg.positions) @ np.cross(seg.cosines[:3], seg.cosines[3:])
        number, before = -1, -np.inf
        for k in np.argsort(heights, kind="stable"):
            number += bool(heights[k] - before > PLACE_MM)
            before = heights[k]
            planes.setdefault(number, []).append(int(k))
    else:
        for k, (_, sources) in enumerate(seg.frames):
            planes.setdefault(sources[:1] or k, []).append(k)
    return list(planes.values())


def _grid_of_plane(seg: Segmentation, chosen: Sequence[int]) -> tuple[SourceGrid, bool]:
    """The grid of one plane, and whether its place is known: an empty one has no frame that says it."""
    spacing_mm = seg.spacing_mm or (1.0, 1.0)
    if seg.cosines is None:
        return SourceGrid.of_picture(seg.shape, seg.spacing_mm), True
    place = seg.positions[chosen[0]] if chosen else None
    affine = plane_affine(seg.cosines, place or (0.0, 0.0, 0.0), None, spacing_mm, seg.thickness_mm)
    return SourceGrid.oriented((*seg.shape, 1), affine, slice_axis=2), place is not None


def _grid_of_planes(seg: Segmentation, planes: Sequence[Sequence[int]]) -> tuple[SourceGrid, tuple[str, ...]]:
    shape, spacing_mm = (*seg.shape, len(planes)), seg.spacing_mm or (1.0, 1.0)
    places = [seg.positions[chosen[0]] for chosen in planes]
    if seg.cosines is None or any(place is None for place in places):
        return SourceGrid.of_picture(shape, seg.spacing_mm), ()
    positions = np.array(places, dtype=float)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine = plane_affine(seg.cosines, positions[0], step, spacing_mm)
    upright = plane_affine(seg.cosines, positions[0], None, spacing_mm)
    grid = replace(SourceGrid.oriented(shape, upright, slice_axis=2), stored_affine=affine)
    return grid, tuple(remarks_on_places(positions, seg.cosines))


def _picture(
    path: str, seg: Segmentation, mask: npt.NDArray[Any], grid: SourceGrid, overlap: int, *, placed: bool
) -> Picture:
    told = f"{overlap} pixels belong to several segments; the one with the higher number was taken."
    return Picture(
        path,
        grid.to_display(mask.reshape(grid.stored_shape)),
        grid,
        "DICOM",
        spacing_mm=grid.as_displayed(seg.spacing_mm),
        # Without a place there is nothing to compare with the image's.
        spacing_source=seg.spacing_source if placed else "unknown",
        modality="SEG",
        photometric=seg.kind,
        subject_id=seg.subject_id,
        warnings=(told,) if overlap else (),
        segments=seg.segments,
    )
