"""DICOM series: the files of one volume, ordered by where they lie in the patient and never by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from pipeline.errors import PlanarError, UnsupportedImage
from pipeline.geometry import SourceGrid
from pipeline.readers.container import is_dicom
from pipeline.readers.dicom import read_dicom
from pipeline.readers.dicom_geometry import frame_positions, orientation_of, plane_affine, spacing_of_film
from pipeline.readers.faults import library_errors
from pipeline.readers.picture import Picture, exact_dtype

__all__ = ["DicomSeries", "group_series", "read_series", "series_in"]

HEADER_TAGS = [
    "SOPClassUID",
    "PatientID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "EstimatedRadiographicMagnificationFactor",
    "NominalScannedPixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
]

# Steps between slices that differ by more than this part of their median are uneven: a slice may be missing.
UNEVEN = 0.1


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """The slices of one volume.

    Attributes:
        files: One file a slice, in display order: `files[k]` is slice k.
        grid: Grid of the volume, stored as (column, row, slice).
        warnings: What a user should know, one line each.
    """

    files: tuple[str, ...]
    grid: SourceGrid
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The folder of the first slice."""
        return str(Path(self.files[0]).parent)


@dataclass(frozen=True, eq=False)
class _Slice:
    file: str
    series: str
    shape: tuple[int, int]
    cosines: tuple[float, ...]
    position: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float] | None
    number: int

    def belongs_with(self, other: _Slice) -> bool:
        """Whether two slices of one series can lie in one volume."""
        return (
            self.shape == other.shape
            and np.allclose(self.cosines, other.cosines, atol=1e-3)
            and np.allclose(self.spacing_mm or 0.0, other.spacing_mm or 0.0, rtol=1e-3)
        )

    @property
    def height(self) -> float:
        """Place along the normal of the slices, mm."""
        return float(self.position @ np.cross(self.cosines[:3], self.cosines[3:]))


def group_series(files: Iterable[str]) -> list[DicomSeries | str]:
    """Files with the slices of each DICOM volume put together.

    Slices belong together that share patient, SeriesInstanceUID, size, pixel spacing and orientation. Films,
    multi-frame objects, other formats, and what cannot be read stay as they are, in their place.

    Args:
        files: Picture files, as `find_pictures` gives them.
    Returns: Series where their first file stood, and the other files.
    """
    groups: dict[str, list[list[_Slice]]] = {}
    order: list[list[_Slice] | str] = []
    for file in files:
        found = _slice_header(file) if is_dicom(file) else None
        if found is None:
            order.append(file)
            continue
        parts = groups.setdefault(found.series, [])
        group = next((group for group in parts if group[0].belongs_with(found)), None)
        if group is None:
            group = []
            parts.append(group)
            order.append(group)
        group.append(found)
    result: list[DicomSeries | str] = []
    for entry in order:
        if isinstance(entry, str):
            result.append(entry)
            continue
        for volume in _one_slice_a_place(entry):
            split = len(groups[entry[0].series]) > 1 or len(volume) < len(entry)
            result.append(volume[0].file if len(volume) == 1 else _series_of(volume, split))
    return result


def series_in(folder: str) -> DicomSeries:
    """The one DICOM series of a folder (not of the folders in it).

    Raises: UnsupportedImage: if it holds none, or several.
    """
    return _series_in(folder, Path(folder).stat().st_mtime_ns)


def read_series(series: DicomSeries, *, voi: bool = False, labels: bool = False) -> Picture:
    """Decode a series as one volume (W, H, D) in display orientation.

    Args:
        series: From `group_series`.
        voi: As in `read_picture`.
        labels: As in `read_picture`.
    Raises: UnreadableImage, UnsupportedImage: for the first slice that cannot be read.
    """
    slices = []
    for file in series.files:
        with library_errors(file, "DICOM"):
            slices.append(read_dicom(file, voi=voi, labels=labels))
    array = exact_dtype(np.stack([picture.array for picture in slices], axis=2))
    told = tuple(dict.fromkeys(line for picture in slices[:1] for line in picture.warnings))
    return replace(slices[0], path=series.folder, array=array, grid=series.grid, warnings=series.warnings + told)


@lru_cache(maxsize=16)
def _series_in(folder: str, _changed: int) -> DicomSeries:
    files = sorted(str(file) for file in Path(folder).iterdir() if file.is_file() and not file.name.startswith("."))
    found = [entry for entry in group_series(files) if isinstance(entry, DicomSeries)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnsupportedImage(f"{folder}: the folder holds no DICOM series of several slices. Name a file.")
    sizes = ", ".join(f"{len(series.files)} slices from {Path(series.files[0]).name}" for series in found)
    raise UnsupportedImage(f"{folder}: the folder holds {len(found)} DICOM volumes ({sizes}). Put one in a folder.")


def _slice_header(file: str) -> _Slice | None:
    """What places a file in a volume, or None if it is no single slice with a place in the patient."""
    try:
        with library_errors(file, "DICOM"):
            ds: Any = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=HEADER_TAGS)
            cosines, positions = orientation_of(ds), frame_positions(ds, 1)
            if cosines is None or positions is None or int(ds.get("NumberOfFrames") or 1) > 1:
                return None
            shape = (int(ds.Columns), int(ds.Rows))
            # The patient too: some anonymised sets have one SeriesInstanceUID for all.
            series = f"{ds.get('PatientID')}\n{ds.get('SeriesInstanceUID') or Path(file).parent}"
            number = int(ds.get("InstanceNumber") or 0)
            return _Slice(file, series, shape, cosines, positions[0], spacing_of_film(ds)[0], number)
    except PlanarError:
        return None  # reading the file says what is wrong with it


def _one_slice_a_place(slices: list[_Slice]) -> list[list[_Slice]]:
    """Slices as volumes with one slice at each place: a second pass over the same places is a volume of its own."""
    volumes: list[list[_Slice]] = []
    passes: dict[float, int] = {}
    for found in sorted(slices, key=lambda s: s.number):
        place = round(found.height, 2)
        number = passes.get(place, 0)
        passes[place] = number + 1
        if number == len(volumes):
            volumes.append([])
        volumes[number].append(found)
    return volumes


def _series_of(slices: list[_Slice], split: bool) -> DicomSeries:
    ordered = sorted(slices, key=lambda s: s.height)
    first, last = ordered[0], ordered[-1]
    step = (last.position - first.position) / (len(ordered) - 1)
    spacing_mm = first.spacing_mm or (1.0, 1.0)
    affine = plane_affine(first.cosines, first.position, step, spacing_mm)
    # Turned by its plane, as each slice is on its own: the steps of a tilted gantry may point to another side.
    upright = plane_affine(first.cosines, first.position, None, spacing_mm)
    grid = replace(SourceGrid.oriented((*first.shape, len(ordered)), upright, slice_axis=2), stored_affine=affine)
    files = tuple(s.file for s in (reversed(ordered) if grid.flips[2] else ordered))
    told = []
    steps = np.diff([s.height for s in ordered])
    if np.ptp(steps) > UNEVEN * np.median(steps):
        told.append(f"Slices lie {steps.min():.2f} to {steps.max():.2f} mm apart, the mean is taken: is one missing?")
    if split:
        told.append(
            f"The series holds several orientations, sizes or passes: these {len(files)} slices are one volume."
        )
    return DicomSeries(files, grid, tuple(told))
