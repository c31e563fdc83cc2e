"""Small files that are made to fill the memory are refused before they do."""

import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from reader_phantoms import dicom_of, ramp, save_dicom, write_itk

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.readers import read_grid, read_picture, room

REFUSED = r"it expands to .* GB or more, and this machine has room for 0\.001 GB"


@pytest.fixture
def _little_memory(monkeypatch):
    monkeypatch.setattr(room, "half_of_memory_gb", lambda: 0.001)
    monkeypatch.setattr(room, "SMALL_BYTES", 1000)


def deflated(path, pixels):
    ds = dicom_of(pixels)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return save_dicom(ds, path)


def refused(path, reading=read_picture):
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedImage, match=REFUSED) as caught:
            reading(path)
        assert tracemalloc.get_traced_memory()[1] < 9_000_000  # of 10
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize("name", ["black.nii.gz", "black.nrrd", "black.mha"])
def test_a_compressed_volume_that_is_larger_than_the_memory_is_refused(tmp_path, name):
    black = write_itk(tmp_path / name, np.zeros((500, 500, 40), np.uint8), compress=True)
    refused(black)
    small = write_itk(tmp_path / f"small_{name}", ramp(), compress=True)
    np.testing.assert_array_equal(read_picture(small).array, ramp())


@pytest.mark.usefixtures("_little_memory")
def test_a_deflated_dicom_that_is_larger_than_the_memory_is_refused(tmp_path):
    path = deflated(tmp_path / "black.dcm", np.zeros((4000, 2500), np.uint8))
    refused(path)
    refused(path, read_grid)
    small = deflated(tmp_path / "small.dcm", np.ascontiguousarray(ramp(60, 50, np.uint16).T))
    np.testing.assert_array_equal(read_picture(small).array, ramp(60, 50, np.uint16))


def test_a_deflated_dicom_that_is_damaged_is_told(tmp_path):
    path = deflated(tmp_path / "film.dcm", ramp(60, 50))
    whole = (tmp_path / "film.dcm").read_bytes()
    at = 144 + int.from_bytes(whole[140:144], "little")
    (tmp_path / "film.dcm").write_bytes(whole[:at] + b"\xff" * 20 + whole[at + 20 :])
    with pytest.raises(UnreadableImage, match="is damaged"):
        read_picture(path)


def test_a_nifti_that_goes_on_after_its_voxels_is_read_as_far_as_they_go(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(ramp()[:, :, None], np.diag([-0.5, -0.5, 1, 1])), path)
    whole = gzip.decompress(path.read_bytes())
    # In parts, as block-wise compressors write it, with padding behind.
    path.write_bytes(gzip.compress(whole[:100]) + gzip.compress(whole[100:] + b"more") + bytes(8))
    np.testing.assert_array_equal(read_picture(path).array, ramp())
    monkeypatch.setattr("pipeline.readers.nifti.LONGEST_SURPLUS", 10_000)
    path.write_bytes(gzip.compress(whole + bytes(20_000)))
    with pytest.raises(UnreadableImage, match="expands to much more than its header speaks of"):
        read_picture(path)


def test_a_nifti_with_a_wrong_checksum_or_a_lost_end_is_unreadable(tmp_path):
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(ramp()[:, :, None], np.eye(4)), path)
    whole = path.read_bytes()
    for damaged in (whole[:-8] + bytes(8), whole[:-8], whole + b"junk", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableImage, match="damaged or cut short"):
            read_picture(path)
