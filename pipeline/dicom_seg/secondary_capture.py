"""Pictures with the mask drawn in, as Secondary Capture: for viewers that do not know segmentations."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import RLELossless

from pipeline import MANUFACTURER
from pipeline.atomic import written_aside
from pipeline.dicom_seg.algorithm import LONG_STRING, Algorithm
from pipeline.dicom_seg.identity import (
    copy_identity,
    instance_number,
    result_series_uid,
    result_uid,
    series_number,
)
from pipeline.dicom_seg.source import SourceImages
from pipeline.errors import PlanarError, UnsupportedImage
from pipeline.readers.quiet import quiet_libraries

__all__ = ["make_secondary_capture", "orientation_letters", "write_secondary_capture"]

SERIES_OFFSET = 52
# Toward which side of the patient an axis runs, by world axis (RAS) and sign.
LETTERS = (("R", "L"), ("A", "P"), ("H", "F"))
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
SIDES = ("L", "R")
# Below this a direction's part along a world axis is none.
SLIGHT = 1e-4


def write_secondary_capture(
    path: str | Path,
    images: SourceImages,
    number: int,
    picture: npt.NDArray[np.uint8],
    algorithm: Algorithm,
    *,
    instance: str | None = None,
) -> None:
    """Write one; see `make_secondary_capture`. It appears under its name when it is complete."""
    ds = make_secondary_capture(images, number, picture, algorithm, instance=instance)
    with written_aside(path) as aside, quiet_libraries():
        ds.save_as(aside)


def make_secondary_capture(
    images: SourceImages,
    number: int,
    picture: npt.NDArray[np.uint8],
    algorithm: Algorithm,
    *,
    instance: str | None = None,
) -> Any:
    """One slice as a colour picture of the source's study, in a series of its own.

    Args:
        images: What it was made from.
        number: Of the slice, in display order.
        picture: (W, H, 3) in display orientation; it may be higher than the source, by a caption below.
        algorithm: That made the mask.
        instance: SOPInstanceUID; by default one made of all that goes in and of the picture itself.
    Returns: The data set.
    Raises: UnsupportedImage: if none can be made.
    """
    try:
        with quiet_libraries():
            return _built(images, number, np.ascontiguousarray(picture.swapaxes(0, 1)), algorithm, instance)
    except PlanarError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnsupportedImage(f"{images.path}: no Secondary Capture can be made of it ({said}).") from error


def orientation_letters(images: SourceImages) -> list[str]:
    """PatientOrientation of a slice in display orientation: whither rows run, then whither columns run.

    Returns: Such as ["L", "P"], or [] for a film that does not say it.
    References: DICOM PS3.3, C.7.6.1.1.1.
    """
    if images.placed:
        affine = images.grid.affine
        return [_letters(affine[:3, 0]), _letters(affine[:3, 1])]
    said = images.first.get("PatientOrientation")
    values = [str(value) for value in said] if said is not None and not isinstance(said, str) else []
    if len(values) != 2 or not all(value and set(value) <= set(OPPOSITE) for value in values):
        return []
    # What the grid has turned to show it turns the letters.
    turned = [values[axis] for axis in images.grid.axes[:2]] if set(images.grid.axes[:2]) == {0, 1} else values
    pairs = zip(turned, images.grid.flips[:2], strict=True)
    return ["".join(OPPOSITE[letter] for letter in value) if flip else value for value, flip in pairs]


def _letters(direction: npt.NDArray[np.float64]) -> str:
    unit = direction / np.linalg.norm(direction)
    order = np.argsort(-np.abs(unit))
    return "".join(LETTERS[axis][0 if unit[axis] > 0 else 1] for axis in order if abs(unit[axis]) > SLIGHT)


def _built(
    images: SourceImages, number: int, rows: npt.NDArray[np.uint8], algorithm: Algorithm, instance: str | None
) -> Any:
    header_number, frame = images.frames[number]
    source = images.headers[header_number]
    content = hashlib.sha256(rows.data).hexdigest()
    made_of = ("sc", algorithm.digest, algorithm.software, source.SOPInstanceUID, frame, content)
    instance = instance or result_uid(*made_of)
    sc = hd.sc.SCImage(
        pixel_array=rows,
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        study_instance_uid=str(source.StudyInstanceUID),
        series_instance_uid=result_series_uid("sc", source.SeriesInstanceUID, algorithm.digest),
        series_number=series_number(source, SERIES_OFFSET),
        sop_instance_uid=instance,
        instance_number=instance_number(source) if images.grid.depth == 1 else number + 1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.software,
        device_serial_number=algorithm.digest[:LONG_STRING],
        patient_orientation=("L", "F"),  # highdicom asks for one; the true one follows
        series_description=f"{algorithm.title} overlay"[:LONG_STRING],
        transfer_syntax_uid=RLELossless,
    )
    sc.PatientOrientation = orientation_letters(images) or ""
    sc.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    sc.DerivationDescription = f"Outlines by {algorithm.title} ({algorithm.software}), drawn into the image"
    sc.SourceImageSequence = [_reference(source, frame if images.multi_frame else None)]
    for keyword in ("BurnedInAnnotation", "RecognizableVisualFeatures"):
        if source.get(keyword):
            sc.add(copy.deepcopy(source[keyword]))
    copy_identity(sc, source, (algorithm.title,))
    # A paired body part needs its side and an unpaired one must have none (type 2C): both, or neither.
    laterality = str(source.get("Laterality") or "")
    if laterality in SIDES:
        sc.Laterality = laterality
    else:
        sc.pop("BodyPartExamined", None)
        sc.Laterality = ""
    return sc


def _reference(source: Any, frame: int | None) -> Any:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = str(source.SOPClassUID), str(source.SOPInstanceUID)
    if frame is not None:
        item.ReferencedFrameNumber = frame + 1
    return item
