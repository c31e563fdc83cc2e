"""A size that no header gives is not known, and one in another unit is turned into millimetres."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from reader_phantoms import colours, ramp, write_itk

from pipeline.errors import UnsupportedImage
from pipeline.readers import read_grid, read_picture, write_mask

FLAT = "dimension: 2\nsizes: 7 5\n"
STACK = "dimension: 3\nsizes: 7 5 3\n"
COLOURS = "dimension: 3\nsizes: 3 7 5\nkinds: RGB-color domain domain\n"


def write_nrrd(path, header, array):
    """A header's fields, and an array of bytes, indexed [x, y]."""
    stored = np.ascontiguousarray(array.swapaxes(0, 1)).tobytes()
    path.write_bytes(b"NRRD0005\ntype: uint8\nencoding: raw\n" + header.encode() + b"\n" + stored)
    return path


def write_metaimage(path, lines):
    header = f"ObjectType = Image\nNDims = 2\nDimSize = 7 5\nElementType = MET_UCHAR\n{lines}ElementDataFile = LOCAL\n"
    path.write_bytes(header.encode() + np.ascontiguousarray(ramp().T).tobytes())
    return path


def stack():
    return np.stack([ramp()] * 3, axis=-1).transpose(2, 1, 0).reshape(5 * 3, 7).T


NRRD_UNKNOWN = [
    (FLAT, ramp()),
    (FLAT + "spacings: nan 0.25\n", ramp()),
    (FLAT + "# spacings: 0.5 0.25\nspacings:=0.5 0.25\n", ramp()),
    (FLAT + 'spacings: 2 2\nunits: "pixels" "pixels"\n', ramp()),
    (STACK + "spacings: 0.5 0.25 nan\n", stack()),
    (COLOURS, colours()),
]
NRRD_KNOWN = [
    (FLAT + "spacings: 0.5 0.25\n", ramp()),
    (FLAT + "Spacings: 0.5 0.25\r\n", ramp()),
    (FLAT + 'spacings: 0.5 0.25\nunits: "" ""\n', ramp()),
    (FLAT + 'spacings: 500 250\nunits: "um" "um"\n', ramp()),
    (FLAT + 'spacings: 500 250\nunits: "µm" "microns"\n', ramp()),
    (FLAT + 'space dimension: 2\nspace directions: (0.05,0) (0,0.025)\nspace units: "cm" "cm"\n', ramp()),
    (FLAT + "space dimension: 2\nspace directions: (0.5,0) (0,0.25)\n", ramp()),
    (STACK + "spacings: 0.5 0.25 2\n", stack()),
    (COLOURS + 'spacings: nan 500 250\nunits: "" "um" "um"\n', colours()),
    (COLOURS + "space dimension: 2\nspace directions: none (0.5,0) (0,0.25)\n", colours()),
]


@pytest.mark.parametrize(("header", "array"), NRRD_UNKNOWN)
def test_an_nrrd_that_gives_no_size_has_none(tmp_path, header, array):
    picture = read_picture(write_nrrd(tmp_path / "a.nrrd", header, array))
    assert (picture.spacing_mm, picture.spacing_source) == (None, "unknown")
    assert len(picture.warnings) == ("pixels" in header)


@pytest.mark.parametrize(("header", "array"), NRRD_KNOWN)
def test_an_nrrd_gives_its_size_in_any_unit(tmp_path, header, array):
    path = write_nrrd(tmp_path / "a.nrrd", header, array)
    picture = read_picture(path)
    assert picture.spacing_mm == pytest.approx((0.5, 0.25))
    assert picture.spacing_source == "NRRD header"
    assert read_grid(path).to_meta() == picture.grid.to_meta()
    assert len(picture.warnings) == ("m" in header.partition("units:")[2])


def test_origins_too_are_in_the_unit_of_the_header(tmp_path):
    header = FLAT + "space dimension: 2\nspace directions: (500,0) (0,250)\nspace origin: (1000,-2000)\n"
    picture = read_picture(write_nrrd(tmp_path / "a.nrrd", header + 'space units: "um" "um"\n', ramp()))
    np.testing.assert_allclose(picture.grid.stored_affine[:3, 3], [-1, 2, 0])


def test_lengths_in_two_units_are_refused(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", FLAT + 'spacings: 0.5 250\nunits: "mm" "um"\n', ramp())
    with pytest.raises(UnsupportedImage, match=r"a\.nrrd: lengths in mm and um; expected one unit"):
        read_picture(path)


@pytest.mark.parametrize(
    ("lines", "spacing_mm"),
    [
        ("", None),
        ("Offset = 1 2\n", None),
        ("ElementSpacing = 0.5 0.25\n", (0.5, 0.25)),
        ("ElementSize = 0.5 0.25\n", (0.5, 0.25)),
        ("DistanceUnits = mm\nElementSpacing = 0.5 0.25\n", (0.5, 0.25)),
        ("DistanceUnits = ?\nElementSpacing = 0.5 0.25\n", (0.5, 0.25)),
        ("DistanceUnits = um\nElementSpacing = 500 250\n", (0.5, 0.25)),
        ("DistanceUnits = cm\nElementSpacing = 0.05 0.025\n", (0.5, 0.25)),
    ],
)
def test_a_metaimage_gives_its_size_or_none(tmp_path, lines, spacing_mm):
    path = write_metaimage(tmp_path / "a.mha", lines)
    picture = read_picture(path)
    assert picture.spacing_mm == (spacing_mm and pytest.approx(spacing_mm))
    assert picture.spacing_source == ("MetaImage header" if spacing_mm else "unknown")
    assert read_grid(path).to_meta() == picture.grid.to_meta()
    np.testing.assert_array_equal(picture.array, ramp())


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (7, 5, 3)])
def test_a_nifti_header_that_nobody_filled_in_gives_no_size(tmp_path, shape):
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(shape, np.uint8), None), path)
    assert (read_picture(path).spacing_mm, read_picture(path).spacing_source) == (None, "unknown")


def test_a_nifti_of_1_mm_that_names_its_unit_is_believed(tmp_path):
    image = nib.Nifti1Image(np.zeros((7, 5, 1), np.uint8), None)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_picture(tmp_path / "a.nii.gz").spacing_mm == (1, 1)


@pytest.mark.parametrize("mask", ["mask.nii.gz", "mask.mha", "mask.nrrd"])
def test_masks_of_planar_and_of_itk_say_their_size(tmp_path, mask):
    picture = read_picture(write_itk(tmp_path / "a.mha", ramp(), spacing=(1, 1)))
    write_mask(picture.array, picture, tmp_path / mask)
    assert read_picture(tmp_path / mask).spacing_mm == (1, 1)
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.mha")), str(tmp_path / f"itk_{mask}"))
    assert read_picture(tmp_path / f"itk_{mask}").spacing_mm == (1, 1)
