"""Images as highdicom wants them: what it reads of a source image, correct and complete, and nothing else.

highdicom takes the source's data sets and stops at the first element that is missing or wrong, be it a birth date. What
it needs for a SEG is known here already, so it gets stand-ins: of a plain SOP class, with the source's identifiers and
geometry. What the archive needs of patient and study is copied afterwards, as it is (`identity`), and the references
get their true SOP classes back (`restore_references`).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.valuerep import DSfloat

from pipeline.dicom_seg.identity import result_uid
from pipeline.dicom_seg.source import SourceImages
from pipeline.readers.dicom_geometry import frame_positions, orientation_of
from pipeline.readers.dicom_spacing import spacing_of_film
from pipeline.readers.functional_groups import functional_group, number_of_frames, numbers

__all__ = ["restore_references", "stand_ins", "unplace"]

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
IN_STACK_POSITION_NUMBER = 0x00209057
FRAME_CONTENT_SEQUENCE = 0x00209111
# What an image that was compressed with losses should say of it, and does not always.
LOSSY = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
# Calibrated sizes in the patient; those at the detector say nothing of it.
CALIBRATED = ("PixelSpacing", "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor")


def stand_ins(images: SourceImages) -> list[Any]:
    """A stand-in for each file, in the order of its slices.

    The frames of a loop without places get some, one millimetre apart; `unplace` takes them away from the result.
    """
    if images.multi_frame:
        return [_multi_frame(images)]
    cosines = orientation_of(images.first)
    study, series = str(images.first.StudyInstanceUID), str(images.first.SeriesInstanceUID)
    frame_of_reference = _frame_of_reference(images)
    result = []
    for header in images.headers:
        ds = _common(header, CT_IMAGE if images.placed else CR_IMAGE)
        # Some anonymised sets give each slice a study of its own.
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        if images.placed:
            ds.FrameOfReferenceUID = frame_of_reference
            ds.PositionReferenceIndicator = str(images.first.get("PositionReferenceIndicator") or "")
            # Slices of one volume may differ in their last digits, which highdicom takes for another orientation.
            ds.ImageOrientationPatient = _decimals(cosines or ())
            ds.ImagePositionPatient = _decimals(_position(header, 0))
            ds.PixelSpacing = _decimals(_row_and_column(images))
            ds.SliceThickness = _decimals([_thickness(images)])[0]
        else:
            spacing_mm, source, _ = spacing_of_film(header)
            if spacing_mm is not None and source in CALIBRATED:
                ds.PixelSpacing = _decimals((spacing_mm[1], spacing_mm[0]))
                # A film has none, but highdicom reads no pixel size without one.
                ds.SliceThickness = _decimals([_thickness(images)])[0]
        result.append(ds)
    return result


def restore_references(result: Any, images: SourceImages) -> None:
    """Give every reference to a source image the SOP class that the image has."""
    classes = {str(header.SOPInstanceUID): str(header.SOPClassUID) for header in images.headers}
    _restore(result, classes)
    for keyword in LOSSY:
        if keyword in result and not result.get(keyword):
            del result[keyword]


def unplace(result: Any) -> None:
    """Take the places of its frames from a SEG, and index them by their order in time instead."""
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "DimensionOrganizationType"):
        if keyword in result:
            del result[keyword]
    shared = result.SharedFunctionalGroupsSequence[0]
    del shared.PlaneOrientationSequence
    del shared.PixelMeasuresSequence
    for index in result.DimensionIndexSequence:
        if keyword_for_tag(index.DimensionIndexPointer) == "ImagePositionPatient":
            index.DimensionIndexPointer = IN_STACK_POSITION_NUMBER
            index.FunctionalGroupPointer = FRAME_CONTENT_SEQUENCE
            index.DimensionDescriptionLabel = "In-Stack Position Number"
    groups = result.PerFrameFunctionalGroupsSequence
    shown = sorted({_frame_number(group) for group in groups})
    for group in groups:
        del group.PlanePositionSequence
        content = group.FrameContentSequence[0]
        content.StackID = "1"
        content.InStackPositionNumber = shown.index(_frame_number(group)) + 1
        before = content.DimensionIndexValues
        segment = [before[0]] if hasattr(before, "__len__") and len(before) > 1 else []
        content.DimensionIndexValues = [*segment, content.InStackPositionNumber]


def _frame_number(group: Any) -> int:
    return int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)


def _multi_frame(images: SourceImages) -> Any:
    header = images.first
    frames = number_of_frames(header)
    ds = _common(header, ENHANCED_CT_IMAGE)
    ds.NumberOfFrames = frames
    ds.FrameOfReferenceUID = _frame_of_reference(images)
    ds.PositionReferenceIndicator = str(header.get("PositionReferenceIndicator") or "")
    shared = Dataset()
    orientation, measures = Dataset(), Dataset()
    cosines = orientation_of(header) if images.placed else None
    orientation.ImageOrientationPatient = _decimals(cosines or (1, 0, 0, 0, 1, 0))
    measures.PixelSpacing = _decimals(_row_and_column(images))
    measures.SliceThickness = _decimals([_thickness(images)])[0]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    ds.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for frame in range(frames):
        group, position = Dataset(), Dataset()
        # Downwards: highdicom takes the frames in the order of that.
        place = _position(header, frame) if images.placed else (0, 0, -frame)
        position.ImagePositionPatient = _decimals(place)
        group.PlanePositionSequence = [position]
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups
    return ds


def _common(header: Any, sop_class: str) -> Any:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, str(header.SOPInstanceUID)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = str(header.StudyInstanceUID), str(header.SeriesInstanceUID)
    ds.Rows, ds.Columns = int(header.Rows), int(header.Columns)
    ds.Modality = str(header.get("Modality") or "OT")
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(ds, keyword, "")
    ds.StudyDate = ds.StudyTime = ds.ReferringPhysicianName = ""
    ds.LossyImageCompression = "01" if str(header.get("LossyImageCompression") or "") == "01" else "00"
    if ds.LossyImageCompression == "01":
        for keyword in LOSSY:
            if header.get(keyword):
                ds.add(copy.deepcopy(header[keyword]))
            else:
                setattr(ds, keyword, None)  # highdicom stops where it is missing; `restore_references` takes it away
    return ds


def _frame_of_reference(images: SourceImages) -> str:
    """The source's, or one of our own for an image that has a place in the patient but does not say in which space."""
    found = str(images.first.get("FrameOfReferenceUID") or "").strip()
    return found or result_uid("frame of reference", images.first.SeriesInstanceUID)


def _position(header: Any, frame: int) -> tuple[float, ...]:
    positions = frame_positions(header, number_of_frames(header))
    return tuple(positions[frame]) if positions is not None else (0.0, 0.0, float(frame))


def _row_and_column(images: SourceImages) -> tuple[float, float]:
    """PixelSpacing: the distance of the rows, then that of the columns, mm; 1 where it is unknown."""
    found = spacing_of_film(images.first)[0]
    return (found[1], found[0]) if found is not None else (1.0, 1.0)


def _thickness(images: SourceImages) -> float:
    """SliceThickness of the source, else the distance of its slices, else 1 mm."""
    group = functional_group(images.first, 0, "PixelMeasuresSequence")
    found = numbers(images.first if group is None else group, "SliceThickness", 1)
    if found is not None and found[0] > 0:
        return found[0]
    return float(np.linalg.norm(images.grid.stored_affine[:3, 2])) if images.grid.depth > 1 else 1.0


def _decimals(values: Any) -> list[Any]:
    """Decimal strings of at most sixteen characters, the number itself where it fits."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def _restore(item: Any, classes: dict[str, str]) -> None:
    found = classes.get(str(item.get("ReferencedSOPInstanceUID") or ""))
    if found is not None:
        item.ReferencedSOPClassUID = found
    for element in item:
        if element.VR == "SQ":
            for inner in element.value:
                _restore(inner, classes)
