"""How a picture as a viewer shows it came from the array that a file stores, and the way back.

All arrays are indexed as MONAI does: x (column) first, then y (row), then the slice. All affines are 4×4, take indices
to millimetres, and use RAS+ axes as NIfTI does: x grows to the patient's right, y to the front, z to the head.

*Display orientation* is what a viewer shows: axial slices run left → right to the patient's Left and top → bottom to
Posterior, coronal ones to Left and Inferior, sagittal ones to Posterior and Inferior. Slices ascend towards Superior
(axial), Posterior (coronal) or Left (sagittal). A stored array gets there by a permutation and flips alone: nothing is
resampled, so an oblique grid stays oblique.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import GeometryMismatch

__all__ = ["EXIF_AXES", "SourceGrid", "display_axes", "lps_to_ras", "picture_affine", "spacing_of"]

# World axis (0 R/L, 1 A/P, 2 S/I) and sign in RAS of the display axes x, y and slice, by the world axis of the slice.
DISPLAY_DIRECTIONS = {
    2: ((0, -1), (1, -1), (2, +1)),  # axial: Left, Posterior, ascending to Superior
    1: ((0, -1), (2, -1), (1, -1)),  # coronal: Left, Inferior, ascending to Posterior
    0: ((1, -1), (2, -1), (0, -1)),  # sagittal: Posterior, Inferior, ascending to Left
}

# A slice axis shows by its spacing only when it is clearly coarser than both others.
CLEARLY_COARSER = 1.5

# EXIF orientation → axes and flips of the display array (EXIF 2.32, tag 274).
EXIF_AXES: dict[int, tuple[tuple[int, int], tuple[bool, bool]]] = {
    1: ((0, 1), (False, False)),
    2: ((0, 1), (True, False)),
    3: ((0, 1), (True, True)),
    4: ((0, 1), (False, True)),
    5: ((1, 0), (False, False)),
    6: ((1, 0), (True, False)),
    7: ((1, 0), (True, True)),
    8: ((1, 0), (False, True)),
}


def picture_affine(spacing_mm: Sequence[float] | None = None) -> npt.NDArray[np.float64]:
    """Affine of a picture without orientation: x runs to Left and y to Posterior, as ITK writes it.

    Args:
        spacing_mm: Pixel size (x, y), mm; None where it is unknown, which counts as 1.
    Returns: 4×4 RAS+ affine with its origin at the first pixel.
    """
    x, y = spacing_mm if spacing_mm is not None else (1.0, 1.0)
    return np.diag([-float(x), -float(y), 1.0, 1.0])


def lps_to_ras(affine: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The same 4×4 affine with its world axes turned from LPS (DICOM, ITK) to RAS (NIfTI), or back."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(affine, dtype=float)


def spacing_of(affine: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Distance between neighbours along each of the three array axes, mm, shape (3,)."""
    return np.sqrt((np.asarray(affine, dtype=float)[:3, :3] ** 2).sum(axis=0))


def display_axes(
    shape: Sequence[int], affine: npt.ArrayLike, *, slice_axis: int | None = None
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Axes and flips that bring a stored volume into display orientation.

    Args:
        shape: Stored shape, three axes.
        affine: 4×4 RAS+ affine of the stored array.
        slice_axis: Stored axis of the slices where the file says it (DICOM frames). Otherwise it is the singleton axis,
            else the axis at least 1.5 times coarser than both others, else the one nearest to superior-inferior.
    Returns: For each display axis the stored axis it comes from, and whether it is reversed.
    Raises: GeometryMismatch: if the affine is singular.
    """
    matrix = np.asarray(affine, dtype=float)[:3, :3]
    spacing = spacing_of(affine)
    if not np.isfinite(matrix).all() or (spacing == 0).any() or abs(np.linalg.det(matrix / spacing)) < 1e-6:
        raise GeometryMismatch("The affine is singular: two array axes have one direction. Export the image again.")
    # Rounded, so that at 45° the noise of a header does not decide, and all slices of a volume are turned alike.
    cosines = np.round(matrix / spacing, 3)
    world = max(itertools.permutations(range(3)), key=lambda p: sum(abs(cosines[w, axis]) for axis, w in enumerate(p)))
    if slice_axis is None:
        slice_axis = _guess_slice_axis(shape, spacing, world)
    axes, flips = [], []
    for direction, sign in DISPLAY_DIRECTIONS[world[slice_axis]]:
        axis = world.index(direction)
        axes.append(axis)
        flips.append(bool(cosines[direction, axis] * sign < 0))
    return (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])


def _guess_slice_axis(shape: Sequence[int], spacing: npt.NDArray[np.float64], world: Sequence[int]) -> int:
    singletons = [axis for axis in range(3) if shape[axis] == 1]
    if singletons:
        return singletons[-1]
    order = np.argsort(spacing)
    if spacing[order[2]] >= CLEARLY_COARSER * spacing[order[1]]:
        return int(order[2])
    return world.index(2)


@dataclass(frozen=True, eq=False)
class SourceGrid:
    """The grid that a file stores, and how the display array comes from it.

    Attributes:
        shape: Shape of the stored array, x first (DICOM: column, row, frame); a picture has a third axis of 1.
        stored_affine: Its 4×4 RAS+ affine, mm.
        axes: For each display axis the stored axis it comes from.
        flips: For each display axis whether it runs against the stored one.
        planar: Whether the file itself has two axes only, so that `to_source` gives two.
        frame: Number (in display order) of the slice that was cut out of a volume, or -1.
    """

    shape: tuple[int, int, int]
    stored_affine: npt.NDArray[np.float64]
    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)
    planar: bool = False
    frame: int = -1

    @classmethod
    def of_picture(
        cls, shape: Sequence[int], spacing_mm: Sequence[float] | None = None, *, exif_orientation: int = 1
    ) -> SourceGrid:
        """The grid of a file without orientation: a photograph, a film, a stack of pages.

        Args:
            shape: Stored shape (W, H) or (W, H, pages).
            spacing_mm: Pixel size (x, y) of the displayed picture, mm.
            exif_orientation: How a viewer turns it (1 to 8, EXIF tag 274).
        """
        axes, flips = EXIF_AXES[exif_orientation]
        grid = cls(_three(shape), np.eye(4), (*axes, 2), (*flips, False), planar=len(shape) == 2)
        return grid._without_place(spacing_mm)

    @classmethod
    def oriented(cls, shape: Sequence[int], affine: npt.ArrayLike, *, slice_axis: int | None = None) -> SourceGrid:
        """The grid of a file that declares its orientation.

        Args:
            shape: Stored shape, two or three axes.
            affine: 4×4 RAS+ affine of the stored array, mm.
            slice_axis: Stored axis of the slices where the file says it; see `display_axes`.
        Raises: GeometryMismatch: if the affine is singular.
        """
        axes, flips = display_axes(_three(shape), affine, slice_axis=slice_axis)
        return cls(_three(shape), np.array(affine, dtype=float), axes, flips, planar=len(shape) == 2)

    def shown_by(self, axes: str) -> SourceGrid:
        """The grid of the same stored array, shown by other axes than the file's own; where it lies is unknown then.

        Args:
            axes: For each display axis the stored axis that it comes from, with "-" where it is reversed: "-x-y+z".
        Raises: GeometryMismatch: if these are not the three axes.
        """
        signs, letters = axes[::2], axes[1::2]
        if sorted(letters) != ["x", "y", "z"] or not set(signs) <= {"+", "-"} or len(signs) != 3:
            raise GeometryMismatch(f"'{axes}' are no axes: expected x, y and z with signs, such as '-x-y+z'.")
        first, second, third = ("xyz".index(letter) for letter in letters)
        flips = (signs[0] == "-", signs[1] == "-", signs[2] == "-")
        return replace(self, axes=(first, second, third), flips=flips)._without_place(None)

    @property
    def axes_as_text(self) -> str:
        """Axes and flips as `shown_by` takes them."""
        return "".join(("-" if flip else "+") + "xyz"[axis] for axis, flip in zip(self.axes, self.flips, strict=True))

    def _without_place(self, spacing_mm: Sequence[float] | None) -> SourceGrid:
        # The affine is known for the display array; the stored one follows.
        return replace(self, stored_affine=picture_affine(spacing_mm) @ np.linalg.inv(self._stored_from_display))

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Spatial shape of the stored array: two axes for a planar file, else three."""
        return self.shape[:2] if self.planar else self.shape

    @property
    def depth(self) -> int:
        """Number of slices of the display array: 1 for a picture."""
        return self.shape[self.axes[2]]

    @property
    def display_shape(self) -> tuple[int, ...]:
        """Spatial shape of the display array: (W, H), or (W, H, D) with D > 1."""
        shape = tuple(self.shape[axis] for axis in self.axes)
        return shape if self.depth > 1 else shape[:2]

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """4×4 RAS+ affine of the display array, mm."""
        return self.stored_affine @ self._stored_from_display

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size (x, y) of the display array by its affine, mm."""
        x, y, _ = spacing_of(self.affine)
        return float(x), float(y)

    def as_displayed(self, spacing_mm: tuple[float, float] | None) -> tuple[float, float] | None:
        """Pixel size (x, y) of the display array from that of the stored one, mm: turned with the picture."""
        return (spacing_mm[1], spacing_mm[0]) if spacing_mm is not None and self.axes[:2] == (1, 0) else spacing_mm

    @property
    def exif_orientation(self) -> int:
        """The EXIF orientation that says the same as axes and flips of a picture."""
        return next(code for code, way in EXIF_AXES.items() if way == (self.axes[:2], self.flips[:2]))

    @property
    def _stored_from_display(self) -> npt.NDArray[np.float64]:
        """4×4 matrix that takes display indices to stored indices."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for display, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[axis, display] = -1 if flip else 1
            matrix[axis, 3] = self.shape[axis] - 1 if flip else 0
        return matrix

    @property
    def _reversed(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)

    def to_display(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The stored array as a viewer shows it; a view, not a copy.

        Args:
            stored: Shape `stored_shape`, with any channels last.
        Returns: Shape `display_shape`, with the channels last.
        Raises: GeometryMismatch: if the shape is not that of this grid.
        """
        spatial = len(self.stored_shape)
        if stored.shape[:spatial] != self.stored_shape:
            raise GeometryMismatch(f"Array {_times(stored.shape)} does not match its grid {_times(self.stored_shape)}.")
        volume = stored.reshape(self.shape + stored.shape[spatial:]) if self.planar else stored
        display = volume.transpose(*self.axes, *range(3, volume.ndim))[self._reversed]
        return display if self.depth > 1 else display[:, :, 0]

    def to_source(self, display: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A display array (an image, a mask) on the grid of the file it came from; a view, not a copy.

        Args:
            display: Shape `display_shape`, with any channels last.
        Returns: Shape `stored_shape`, with the channels last.
        Raises: GeometryMismatch: if the shape is not that of the display grid.
        """
        spatial = len(self.display_shape)
        if display.shape[:spatial] != self.display_shape:
            raise GeometryMismatch(
                f"Mask {_times(display.shape)} does not match its image {_times(self.display_shape)}. "
                "Undo the resizing (Invertd) before writing."
            )
        volume = display if self.depth > 1 else display[:, :, np.newaxis]
        stored = volume[self._reversed].transpose(*np.argsort(self.axes), *range(3, volume.ndim))
        return stored[:, :, 0] if self.planar else stored

    def cut(self, number: int) -> SourceGrid:
        """The grid of one slice (number: in display order): one voxel thick, where it lies in the volume."""
        axis = self.axes[2]
        offset = np.eye(4)
        offset[axis, 3] = self.depth - 1 - number if self.flips[2] else number
        x, y, z = (1 if n == axis else size for n, size in enumerate(self.shape))
        return replace(self, shape=(x, y, z), stored_affine=self.stored_affine @ offset, frame=number)

    def to_meta(self) -> dict[str, str]:
        """The grid as one entry for a MONAI metadata dictionary.

        It is a JSON string because strings come through collation, decollation and dtype conversion untouched.
        """
        fields = {
            "shape": self.shape,
            "affine": self.stored_affine.tolist(),
            "axes": self.axes,
            "flips": self.flips,
            "planar": self.planar,
            "frame": self.frame,
        }
        return {"source_grid": json.dumps(fields)}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> SourceGrid:
        """The grid that `to_meta` wrote.

        Raises: GeometryMismatch: if the metadata carry no grid.
        """
        if "source_grid" not in meta:
            raise GeometryMismatch(
                "The metadata do not hold the source grid. "
                'Load the image with LoadImaged(reader="pipeline.readers.PlanarReader").'
            )
        fields = json.loads(meta["source_grid"])
        affine = np.array(fields["affine"], dtype=float)
        axes, flips = tuple(fields["axes"]), tuple(fields["flips"])
        return cls(tuple(fields["shape"]), affine, axes, flips, fields["planar"], fields["frame"])


def _three(shape: Sequence[int]) -> tuple[int, int, int]:
    x, y, *more = (int(size) for size in shape)
    return x, y, more[0] if more else 1


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
