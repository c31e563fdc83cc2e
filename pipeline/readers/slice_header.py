"""What the header of one DICOM slice says of its place in a series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import PlanarError
from pipeline.readers.dicom import dataset_of
from pipeline.readers.dicom_geometry import frame_positions, orientation_of
from pipeline.readers.dicom_spacing import spacing_of_film
from pipeline.readers.faults import library_errors
from pipeline.readers.functional_groups import number_of_frames

__all__ = ["SliceHeader", "read_slice_header"]

TURN_TAGS = ("TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber")
HEADER_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    *TURN_TAGS,
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


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """A file that is one slice with a place in the patient.

    Attributes:
        file: The file.
        instance: SOPInstanceUID, or "".
        series: Patient and SeriesInstanceUID: some anonymised sets have one SeriesInstanceUID for all patients.
        frame_of_reference: FrameOfReferenceUID, or "".
        shape: Columns and rows.
        cosines: ImageOrientationPatient.
        position: ImagePositionPatient, mm, LPS.
        spacing_mm: Pixel size (x, y), or None.
        turn: TemporalPositionIdentifier, AcquisitionNumber and InstanceNumber, 0 where the header has none: in which
            order slices at one place were taken.
    """

    file: str
    instance: str
    series: str
    frame_of_reference: str
    shape: tuple[int, int]
    cosines: tuple[float, ...]
    position: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float] | None
    turn: tuple[int, ...]

    @property
    def plane(self) -> npt.NDArray[np.float64]:
        """What slices of one volume share, 10 numbers: size, spacing and orientation."""
        return np.array([*self.shape, *(self.spacing_mm or (0.0, 0.0)), *self.cosines])

    @property
    def phase(self) -> tuple[int, ...]:
        """What slices of one phase share: their turn without the InstanceNumber."""
        return self.turn[:-1]

    @property
    def height(self) -> float:
        """Place along the normal of the slices, mm."""
        return float(self.position @ np.cross(self.cosines[:3], self.cosines[3:]))


def read_slice_header(file: str) -> SliceHeader | None:
    """What places a file in a volume, or None if it is no single slice with a place in the patient."""
    try:
        with library_errors(file, "DICOM"):
            ds = dataset_of(file, stop_before_pixels=True, specific_tags=HEADER_TAGS)
            cosines, positions = orientation_of(ds), frame_positions(ds, 1)
            if cosines is None or positions is None or number_of_frames(ds) > 1:
                return None
            return SliceHeader(
                file,
                str(ds.get("SOPInstanceUID") or ""),
                f"{ds.get('PatientID')}\n{ds.get('SeriesInstanceUID') or Path(file).parent}",
                str(ds.get("FrameOfReferenceUID") or ""),
                (int(ds.Columns), int(ds.Rows)),
                cosines,
                positions[0],
                spacing_of_film(ds)[0],
                tuple(_number(ds.get(tag)) for tag in TURN_TAGS),
            )
    except (PlanarError, OSError):
        return None  # reading the file says what is wrong with it


def _number(value: Any) -> int:
    """A number that only orders slices: 0 where a header has none, or something else in its place."""
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0
