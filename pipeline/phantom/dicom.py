"""The phantom as DICOM: Digital X-Ray Image Storage - For Presentation, and CT Image Storage in HU.

References: DICOM PS3.3 2024, A.26 (Digital X-Ray Image IOD), A.3 (CT Image IOD).
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipeline.phantom.files import NOTICE
from pipeline.phantom.radiograph import Radiograph
from pipeline.phantom.slices import CtSeries
from pipeline.phantom.thorax import RAS_TO_LPS

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["ct_slices_bytes", "film_bytes"]

DX_IMAGE_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_NAMESPACE = uuid.UUID("5f1d3c52-3c0b-4d4e-9a52-706c616e6172")
_DATE, _TIME = "20000101", "120000"


def film_bytes(film: Radiograph, *, subject: str, number: int, origin: str) -> bytes:
    """One film as a DICOM file; MONOCHROME1 is stored with its grey scale reversed.

    Args:
        film: The film.
        subject: Becomes PatientID.
        number: Of the film within its study, from 1.
        origin: What the unique identifiers are made from; the same text gives the same file.
    """
    settings = film.settings
    ds = _common(DX_IMAGE_FOR_PRESENTATION, "DX", subject, origin, f"film {number}", series=f"films {number}")
    stored = 255 - film.image if settings.photometric == "MONOCHROME1" else film.image
    _set_pixels(ds, np.ascontiguousarray(stored.T), 8, settings.photometric)
    spacing = [_decimal(settings.spacing_mm)] * 2
    ds.update(
        _dataset(
            SeriesNumber=number,
            InstanceNumber=1,
            SeriesDescription="Chest PA, digital phantom",
            PresentationIntentType="FOR PRESENTATION",
            PixelIntensityRelationship="LOG",
            PixelIntensityRelationshipSign=-1 if settings.photometric == "MONOCHROME2" else 1,
            RescaleIntercept="0",
            RescaleSlope="1",
            RescaleType="US",
            PresentationLUTShape="INVERSE" if settings.photometric == "MONOCHROME1" else "IDENTITY",
            LossyImageCompression="00",
            WindowCenter="128",
            WindowWidth="256",
            BodyPartExamined="CHEST",
            AnatomicRegionSequence=[_code("43799004", "SCT", "Thorax")],
            ImageLaterality="U",
            ViewPosition="PA",
            ViewCodeSequence=[_code("399348003", "SCT", "postero-anterior")],
            PatientOrientation=["L", "F"],
            PatientOrientationCodeSequence=[_code("10904000", "SCT", "erect")],
            DetectorType="DIRECT",
            ImagerPixelSpacing=spacing,
            PixelSpacing=spacing,
            PixelSpacingCalibrationType="GEOMETRY",
            PixelSpacingCalibrationDescription="Parallel beam: no magnification",
            PositionerType="NONE",
            AcquisitionContextSequence=[],
        )
    )
    return _file_bytes(ds)


def ct_slices_bytes(series: CtSeries, *, subject: str, origin: str) -> Iterator[bytes]:
    """The slices of one series as DICOM files, from the head downwards.

    Args:
        series: The series.
        subject: Becomes PatientID.
        origin: What the unique identifiers are made from.
    """
    to_lps = RAS_TO_LPS @ series.affine
    x_mm, y_mm, z_mm = series.spacing_mm
    axes = to_lps[:3, :3] / (x_mm, y_mm, z_mm)
    for number, k in enumerate(reversed(range(series.hu.shape[2])), start=1):
        ds = _common(CT_IMAGE, "CT", subject, origin, f"slice {number}", series="ct")
        _set_pixels(ds, np.ascontiguousarray(series.hu[:, :, k].T), 16, "MONOCHROME2")
        position = to_lps @ (0, 0, k, 1)
        ds.update(
            _dataset(
                SeriesNumber=100,
                InstanceNumber=number,
                AcquisitionNumber=1,
                SeriesDescription="CT, digital phantom",
                FrameOfReferenceUID=_uid(origin, subject, "frame"),
                PositionReferenceIndicator="",
                PatientPosition="HFS",
                ImagePositionPatient=[_decimal(v) for v in position[:3]],
                ImageOrientationPatient=[_decimal(v) for v in (*axes[:, 0], *axes[:, 1])],
                PixelSpacing=[_decimal(y_mm), _decimal(x_mm)],
                SliceThickness=_decimal(z_mm),
                SpacingBetweenSlices=_decimal(z_mm),
                SliceLocation=_decimal(position[2]),
                RescaleIntercept="-1024",
                RescaleSlope="1",
                RescaleType="HU",
                WindowCenter=["40", "-600"],
                WindowWidth=["400", "1500"],
                KVP="120",
                BodyPartExamined="CHEST",
            )
        )
        yield _file_bytes(ds)


def _common(sop_class: str, modality: str, subject: str, origin: str, what: str, *, series: str) -> Dataset:
    """Patient, study, series, equipment and image: what both kinds of file say alike."""
    return _dataset(
        SpecificCharacterSet="ISO_IR 100",
        ImageType=["DERIVED", "PRIMARY", ""] if modality == "DX" else ["DERIVED", "PRIMARY", "AXIAL"],
        InstanceCreationDate=_DATE,
        InstanceCreationTime=_TIME,
        SOPClassUID=sop_class,
        SOPInstanceUID=_uid(origin, subject, what),
        StudyDate=_DATE,
        SeriesDate=_DATE,
        AcquisitionDate=_DATE,
        ContentDate=_DATE,
        StudyTime=_TIME,
        SeriesTime=_TIME,
        AcquisitionTime=_TIME,
        ContentTime=_TIME,
        AccessionNumber="",
        Modality=modality,
        Manufacturer="Planar digital phantom",
        ManufacturerModelName="Digital phantom",
        DeviceSerialNumber="0",
        SoftwareVersions="planar phantom",
        InstitutionName="",
        ReferringPhysicianName="",
        StudyDescription=NOTICE,
        DerivationDescription="Computed from analytic shapes; no patient was examined",
        PatientName=f"PHANTOM^{subject}",
        PatientID=subject,
        PatientBirthDate="",
        PatientSex="O",
        PatientComments=NOTICE,
        StudyInstanceUID=_uid(origin, subject, "study"),
        SeriesInstanceUID=_uid(origin, subject, series),
        StudyID="1",
        ImageComments=NOTICE,
        BurnedInAnnotation="YES" if modality == "DX" else "NO",
    )


def _set_pixels(ds: Dataset, rows: np.ndarray, bits: int, photometric: str) -> None:
    """Image Pixel module; CT numbers are stored with 1024 added, so that no bit is a sign."""
    if bits == 16:
        rows = (rows.astype(np.int32) + 1024).astype("<u2")
    data = rows.tobytes()
    stored = 8 if bits == 8 else 12
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = photometric
    ds.Rows, ds.Columns = rows.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, stored, stored - 1, 0
    ds.add_new("PixelData", "OW" if bits == 16 else "OB", data + b"\0" * (len(data) % 2))


def _dataset(**elements: object) -> Dataset:
    from pydicom import Dataset

    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _dataset(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _decimal(value: float) -> str:
    """A decimal string; 16 characters at most, and no minus zero."""
    return f"{round(float(value), 6) + 0.0:.10g}"


def _uid(*parts: str) -> str:
    """A unique identifier that the same parts always give (PS3.5 B.2: 2.25 and a UUID as a number)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(parts)).int}"


def _file_bytes(ds: Dataset) -> bytes:
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0  # set on writing
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = EXPLICIT_VR_LITTLE_ENDIAN
    meta.ImplementationClassUID = _uid("implementation")
    meta.ImplementationVersionName = "PLANAR_PHANTOM"
    buffer = io.BytesIO()
    # The encoding goes to the constructor: pydicom 2 wants it there, and pydicom 3 takes it from the file meta.
    file = FileDataset(buffer, ds, preamble=b"\0" * 128, file_meta=meta, is_implicit_VR=False, is_little_endian=True)
    file.save_as(buffer)
    return buffer.getvalue()
