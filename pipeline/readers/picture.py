"""A decoded picture: its pixels as a viewer shows them, and all that is needed to go back to its file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.geometry import SourceGrid

__all__ = ["Picture", "exact_dtype"]


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels in display orientation with their geometry.

    Attributes:
        path: File or folder it was read from, with its `#slice=K` where there was one.
        array: (W, H), (W, H, D), (W, H, 3) or (W, H, D, 3), indexed x first; uint8, int16, uint16 or float32.
        grid: The way back to the stored array.
        source_format: "PNG", "JPEG", "BMP", "GIF", "TIFF", "DICOM", "NIfTI", "MetaImage" or "NRRD".
        spacing_mm: Pixel size (x, y), mm, or None where it is unknown.
        spacing_source: Where the spacing was found ("PixelSpacing", "NIfTI header"…), or "unknown".
        modality: DICOM modality, or "".
        photometric: DICOM photometric interpretation or Pillow mode of the stored pixels.
        colour: Whether the last axis holds red, green and blue.
        subject_id: Raw PatientID, or "". Hash it before it goes anywhere: it must not reach a log or a report.
        warnings: What a user should know of this file, one line each, without its name.
        palette: Colours (n, 3) of a palette or 1-bit image read as labels, uint8.
        segments: Number and label of each segment, for a DICOM segmentation read as labels.
        header: Raw NIfTI header, from which a mask takes qform, sform and units; b"" for other formats.
    """

    path: str
    array: npt.NDArray[Any]
    grid: SourceGrid
    source_format: str
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str = "unknown"
    modality: str = ""
    photometric: str = ""
    colour: bool = False
    subject_id: str = ""
    warnings: tuple[str, ...] = ()
    palette: npt.NDArray[np.uint8] | None = None
    segments: tuple[tuple[int, str], ...] = ()
    header: bytes = b""

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """4×4 RAS+ affine of `array`, mm."""
        return self.grid.affine

    @property
    def depth(self) -> int:
        """Number of slices, 1 for a picture."""
        return self.grid.depth

    def cut(self, number: int, path: str) -> Picture:
        """One slice of a volume as a picture of its own (a copy, so that it does not keep the volume alive)."""
        return replace(self, path=path, array=self.array[:, :, number].copy(order="K"), grid=self.grid.cut(number))

    def shown_by(self, axes: str, path: str) -> Picture:
        """The same stored pixels by other axes than the file's own, without spacing and place.

        Args:
            axes: As `SourceGrid.shown_by` takes them.
            path: What it is called.
        """
        grid = self.grid.shown_by(axes)
        array = grid.to_display(self.grid.to_source(self.array))
        return replace(self, path=path, array=array, grid=grid, spacing_mm=None, spacing_source="unknown")

    def meta(self) -> dict[str, Any]:
        """MONAI metadata of `array`.

        Every picture has the same keys with values of the same shape, because collation keeps common keys only and
        stacks arrays.
        """
        spacing = self.spacing_mm if self.spacing_mm is not None else (np.nan, np.nan)
        palette = b"" if self.palette is None else self.palette.tobytes()
        return {
            "affine": self.affine,
            "original_affine": self.affine,
            "spatial_shape": np.array(self.grid.display_shape),
            "original_channel_dim": -1 if self.colour else float("nan"),
            "space": "RAS",
            "spacing_mm": np.array(spacing, dtype=float),
            "spacing_source": self.spacing_source,
            "modality": self.modality,
            "photometric": self.photometric,
            "source_format": self.source_format,
            "source_header": self.header.hex(),
            "palette": palette.hex(),
            "frame": self.grid.frame,
            **self.grid.to_meta(),
        }


def exact_dtype(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same values as uint8, int16, uint16 or float32: the first that the array's kind and values fit into.

    Integers outside 16 bits become float32, which holds them exactly up to 2²⁴; float64 is rounded to float32.
    """
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind in "iu":
        if array.dtype.newbyteorder("=") in (np.uint8, np.int16, np.uint16):
            return array.astype(array.dtype.newbyteorder("="), copy=False)
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        for dtype in (np.int16, np.uint16):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return array.astype(dtype)
    return array.astype(np.float32, copy=False)
