"""Small pictures in every container, named by content."""

from __future__ import annotations

import io
import tempfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    generate_uid,
)

try:  # pydicom 3
    from pydicom.encaps import get_frame
except ImportError:  # pydicom 2
    from pydicom.encaps import generate_pixel_data_frame

    def get_frame(data, index, number_of_frames):
        return list(generate_pixel_data_frame(data, number_of_frames))[index]


CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"


def ramp(width=7, height=5, dtype=np.uint8, seed=0):
    """Pixels without any symmetry, indexed [x, y]."""
    values = np.random.default_rng(seed).permutation(width * height).reshape(width, height)
    if np.issubdtype(dtype, np.floating):
        return (values * 1e-4 - 1e-3).astype(dtype)
    high = np.iinfo(dtype).max
    return (values.astype(np.int64) * max(1, high // values.size) % (high + 1)).astype(dtype)


def colours(width=7, height=5, dtype=np.uint8):
    return np.stack([ramp(width, height, dtype, seed) for seed in range(3)], axis=-1)


def write_raster(path, array, **options):
    Image.fromarray(np.ascontiguousarray(array.swapaxes(0, 1))).save(path, **options)
    return str(path)


def write_itk(path, array, *, vector=False, spacing=None, origin=None, direction=None, compress=False):
    spatial = array.ndim - vector
    stored = np.ascontiguousarray(array.transpose(*reversed(range(spatial)), *range(spatial, array.ndim)))
    image = sitk.GetImageFromArray(stored, isVector=vector)
    if spacing is not None:
        image.SetSpacing(spacing)
    if origin is not None:
        image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(np.ravel(direction).tolist())
    sitk.WriteImage(image, str(path), compress)
    return str(path)


def dicom_of(pixels, *, sop_class=CR_IMAGE, **elements):
    """A data set that holds pixels as DICOM stores them: ([frames,] rows, columns[, samples])."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = generate_uid()
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = ds.SeriesInstanceUID = generate_uid()
    ds.PatientID, ds.Modality = "Phantom^1", "CR"
    samples = 3 if pixels.ndim > 2 and pixels.shape[-1] == 3 else 1
    ds.Rows, ds.Columns = (pixels.shape[:-1] if samples == 3 else pixels.shape)[-2:]
    if pixels.ndim - (samples == 3) == 3:
        ds.NumberOfFrames = pixels.shape[0]
    ds.SamplesPerPixel = samples
    ds.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    ds.HighBit = elements.get("BitsStored", ds.BitsStored) - 1
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def save_dicom(ds, path):
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax == ExplicitVRBigEndian:
        ds = FileDataset("", dict(ds), ds.preamble, ds.file_meta, is_implicit_VR=False, is_little_endian=False)
    if hasattr(pydicom, "pixels"):  # pydicom 3
        ds.save_as(path, enforce_file_format=True)
    else:
        ds.is_little_endian, ds.is_implicit_VR = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
        ds.save_as(path, write_like_original=False)
    return str(path)


def write_dicom(path, pixels, **elements):
    return save_dicom(dicom_of(pixels, **elements), path)


def item(**elements):
    """A sequence item."""
    ds = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def in_syntax(ds, syntax):
    """A data set of `dicom_of` in another transfer syntax, by encoders that are not Planar's."""
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}").byteswap().tobytes()
    elif syntax == JPEGLosslessSV1:
        frame = frame_by_gdcm(pydicom.pixels.pixel_array(ds) if hasattr(pydicom, "pixels") else ds.pixel_array)
        ds.PixelData = encapsulate([frame])
    elif UID(syntax).is_compressed:
        try:
            ds.compress(syntax)
        except NotImplementedError:
            pytest.skip("this pydicom does not encode it")
        return ds
    ds.file_meta.TransferSyntaxUID = syntax
    if UID(syntax).is_compressed:
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds


def frame_by_gdcm(pixels):
    """Pixels as a lossless JPEG stream, by the GDCM in SimpleITK."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/film.dcm"
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor("JPEG")
        writer.SetFileName(path)
        writer.Execute(sitk.GetImageFromArray(np.ascontiguousarray(pixels)))
        written = pydicom.dcmread(path)
        return get_frame(written.PixelData, 0, number_of_frames=1)


def jpeg_of(pixels, **options):
    """Pixels, (rows, columns[, 3]) of 8 bits, as a baseline JPEG stream, by Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def encapsulated(ds, frames, syntax):
    """A data set whose pixels are given frames of a compressed syntax."""
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(list(frames))
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds
