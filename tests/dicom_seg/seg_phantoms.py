"""Small DICOM images whose pixels are their own mask, and SEG objects read back with pydicom alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import generate_uid

from pipeline.dicom_seg import Algorithm, read_terms
from pipeline.phantom import CtSeries, Radiograph, radiograph, thorax
from pipeline.phantom.dicom import ct_slices_bytes, film_bytes

LABELS = {0: "background", 1: "right_lung", 2: "left_lung", 3: "heart"}
TERMS = read_terms(LABELS)
ALGORITHM = Algorithm("cxr_lung_segmentation", "1.2.3", ("a1" * 32,))
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
XA_IMAGE = "1.2.840.10008.5.1.4.1.1.12.1"

# RAS+ affines of arrays indexed (column, row, slice): what scanners and reconstructions store.
_TURN = np.linalg.qr(np.array([[0.9, 0.3, 0.2], [-0.25, 0.95, -0.1], [0.1, -0.2, 0.97]]))[0]
GEOMETRIES = {
    "axial": np.array([[-0.8, 0, 0, 40], [0, -0.8, 0, 30], [0, 0, 5, -100], [0, 0, 0, 1.0]]),
    "axial, from the head": np.array([[-0.8, 0, 0, 40], [0, -0.8, 0, 30], [0, 0, -5, 100], [0, 0, 0, 1.0]]),
    "sagittal": np.array([[0, 0, 4, -20], [-0.7, 0, 0, 35], [0, -0.7, 0, 50], [0, 0, 0, 1.0]]),
    "coronal": np.array([[-0.9, 0, 0, 12], [0, 0, -3, 5], [0, -0.9, 0, 70], [0, 0, 0, 1.0]]),
    "oblique": np.block([[_TURN * (0.75, 0.75, 2.5), np.array([[10.0], [-20], [33]])], [np.zeros((1, 3)), 1]]),
    "flipped": np.array([[-0.8, 0, 0, 40], [0, 0.8, 0, -30], [0, 0, 5, -100], [0, 0, 0, 1.0]]),
    "mirrored": np.array([[0.8, 0, 0, -40], [0, 0.8, 0, -30], [0, 0, 5, -100], [0, 0, 0, 1.0]]),
    "anisotropic": np.array([[-0.5, 0, 0, 40], [0, -1.25, 0, 30], [0, 0, 7, -100], [0, 0, 0, 1.0]]),
}


def blobs(shape: tuple[int, ...], classes: int = 3, seed: int = 0) -> np.ndarray:
    """Class indices without any symmetry, with empty slices at both ends of a volume."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, classes + 1, [-(-size // 3) for size in shape]).astype(np.uint8)
    for axis, size in enumerate(shape):
        mask = np.repeat(mask, 3, axis=axis).take(range(size), axis=axis)
    if len(shape) == 3 and shape[2] > 2:
        mask[:, :, [0, -1]] = 0
    return mask


def write_ct(folder: Path, affine: np.ndarray, shape: tuple[int, int, int] = (22, 17, 6)) -> list[Path]:
    """A series whose HU are a hundred times the class, in files whose names say nothing of their order."""
    folder.mkdir(parents=True, exist_ok=True)
    mask = blobs(shape)
    series = CtSeries((mask.astype(np.int16) * 100), mask, affine, 0.0)
    names = np.random.default_rng(1).permutation(shape[2])
    files = []
    for name, content in zip(names, ct_slices_bytes(series, subject="PHANTOM-7", origin="seg"), strict=True):
        files.append(folder / f"{name}.dcm")
        files[-1].write_bytes(content)
    return files


def phantom_film() -> Radiograph:
    return radiograph(thorax(1), seed=1, size=96)


def write_film(path: Path, film: Radiograph, **elements: object) -> Path:
    """A DX film without a frame of reference; elements that are None are taken away."""
    ds = pydicom.dcmread(io.BytesIO(film_bytes(film, subject="PHANTOM-7", number=3, origin="seg")))
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(change(ds, elements), path)


def change(ds: Dataset, elements: dict[str, object]) -> Dataset:
    for keyword, value in elements.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)
    return ds


def save(ds: FileDataset, path: Path) -> Path:
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(path)
    return path


def write_enhanced_ct(path: Path, affine: np.ndarray, folder: Path) -> Path:
    """The slices of `write_ct` as one multi-frame object, its frames in no order."""
    slices = [pydicom.dcmread(file) for file in write_ct(folder, affine)]
    ds = slices[0]
    shared, frames = Dataset(), []
    orientation, measures, transformation = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = ds.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = ds.PixelSpacing, ds.SliceThickness
    transformation.RescaleIntercept, transformation.RescaleSlope = ds.RescaleIntercept, ds.RescaleSlope
    transformation.RescaleType = "HU"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [transformation]
    for one in (slices := [slices[k] for k in (3, 0, 5, 1, 4, 2)]):
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], frames
    gone = ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"]
    change(ds, dict.fromkeys([*gone, "RescaleIntercept", "RescaleSlope", "RescaleType", "SliceLocation"]))
    ds.NumberOfFrames = len(slices)
    pixels = b"".join(one.PixelData for one in slices)
    ds.SOPClassUID, ds.SOPInstanceUID = ENHANCED_CT, generate_uid()
    ds.PixelData = pixels
    return save(ds, path)


def write_loop(path: Path, film: Radiograph, frames: int = 4) -> Path:
    """An angiography: frames of one place at several times."""
    ds = pydicom.dcmread(io.BytesIO(film_bytes(film, subject="PHANTOM-7", number=3, origin="seg")))
    plane = ds.pixel_array
    ds.PixelData = np.stack([np.roll(plane, 5 * frame, axis=0) for frame in range(frames)]).tobytes()
    ds.NumberOfFrames, ds.SOPClassUID, ds.Modality = frames, XA_IMAGE, "XA"
    return save(ds, path)


def read_frames(path: Path) -> dict[tuple[str, int, int], np.ndarray]:
    """(SOPInstanceUID, frame from 1 or 0 where there is none, segment) → stored pixels of a SEG, rows × columns."""
    ds = pydicom.dcmread(path)
    pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    assert len(pixels) == ds.NumberOfFrames == len(ds.PerFrameFunctionalGroupsSequence)
    found = {}
    for plane, group in zip(pixels, ds.PerFrameFunctionalGroupsSequence, strict=True):
        (derivation,) = group.DerivationImageSequence
        (source,) = derivation.SourceImageSequence
        where = (str(source.ReferencedSOPInstanceUID), int(source.get("ReferencedFrameNumber") or 0))
        if ds.SegmentationType == "LABELMAP":
            numbers = (int(item.SegmentNumber) for item in ds.SegmentSequence)
            segments = [(number, plane == number) for number in numbers if number > 0]
        else:
            segments = [(int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber), plane)]
        for number, values in segments:
            assert (*where, number) not in found
            found[(*where, number)] = values
    return found
