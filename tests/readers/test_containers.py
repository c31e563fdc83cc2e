"""One picture, whatever file it is in."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from reader_phantoms import colours, ramp, write_dicom, write_itk, write_raster

from pipeline.geometry import picture_affine
from pipeline.readers import read_grid, read_picture, slices_in


def rows(array):
    return np.ascontiguousarray(array.swapaxes(0, 1))


WRITERS = {
    "png": lambda path, array: write_raster(path, array),
    "bmp": lambda path, array: write_raster(path, array),
    "tif": lambda path, array: write_raster(path, array),
    "lzw.tif": lambda path, array: write_raster(path, array, compression="tiff_lzw"),
    "nii": lambda path, array: write_itk(path, array, vector=array.ndim == 3),
    "nii.gz": lambda path, array: write_itk(path, array, vector=array.ndim == 3),
    "mha": lambda path, array: write_itk(path, array, vector=array.ndim == 3),
    "mhd": lambda path, array: write_itk(path, array, vector=array.ndim == 3),
    "compressed.mha": lambda path, array: write_itk(path, array, vector=array.ndim == 3, compress=True),
    "nrrd": lambda path, array: write_itk(path, array, vector=array.ndim == 3),
    "dcm": lambda path, array: write_dicom(path, rows(array)),
}
BY_ITK = ["nii", "nii.gz", "mha", "mhd", "compressed.mha", "nrrd"]
CASES = [
    *[(np.uint8, suffix) for suffix in WRITERS],
    *[(np.uint16, suffix) for suffix in ["png", "tif", "lzw.tif", *BY_ITK, "dcm"]],
    *[(np.int16, suffix) for suffix in [*BY_ITK, "dcm"]],
    *[(np.float32, suffix) for suffix in ["tif", "lzw.tif", *BY_ITK]],
]


@pytest.mark.parametrize(("dtype", "suffix"), CASES)
def test_a_grey_picture_is_the_same_in_every_container(tmp_path, dtype, suffix):
    expected = ramp(dtype=dtype)
    picture = read_picture(WRITERS[suffix](tmp_path / f"picture.{suffix}", expected))
    np.testing.assert_array_equal(picture.array, expected)
    assert picture.array.dtype == dtype
    np.testing.assert_array_equal(picture.affine, picture_affine())
    assert (picture.depth, picture.colour) == (1, False)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "nii", "nii.gz", "mha", "nrrd", "dcm"])
def test_a_coloured_picture_is_the_same_in_every_container(tmp_path, suffix):
    picture = read_picture(WRITERS[suffix](tmp_path / f"picture.{suffix}", colours()))
    np.testing.assert_array_equal(picture.array, colours())
    np.testing.assert_array_equal(picture.affine, picture_affine())
    assert picture.colour


@pytest.mark.parametrize("suffix", ["png", "tif", "mha", "nrrd"])
def test_16_bit_colours_are_kept(tmp_path, suffix):
    path = write_itk(tmp_path / f"picture.{suffix}", colours(dtype=np.uint16), vector=True)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.array, colours(dtype=np.uint16))
    assert picture.array.dtype == np.uint16


@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
def test_a_series_of_one_volume_is_that_volume(tmp_path, suffix):
    volume = np.stack([ramp(seed=k) for k in range(3)], axis=-1)
    picture = read_picture(write_itk(tmp_path / f"series.{suffix}", volume[..., np.newaxis], spacing=(0.5, 0.6, 2, 1)))
    np.testing.assert_array_equal(picture.array, volume)
    np.testing.assert_allclose(np.linalg.norm(picture.affine[:3, :3], axis=0), [0.5, 0.6, 2], rtol=1e-6)


def test_a_jpeg_reads_as_pillow_decodes_it(tmp_path):
    path = write_raster(tmp_path / "picture.jpg", np.linspace(0, 255, 32 * 24).reshape(32, 24).astype(np.uint8))
    np.testing.assert_array_equal(read_picture(path).array, np.asarray(Image.open(path)).T)
    assert read_picture(path).source_format == "JPEG"


def test_a_jpeg_named_png_is_read_by_its_content(tmp_path):
    path = write_raster(tmp_path / "picture.jpg", ramp())
    renamed = (tmp_path / "picture.jpg").rename(tmp_path / "picture.png")
    assert read_picture(renamed).source_format == "JPEG"
    assert path.endswith("jpg")


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_the_header_alone_tells_the_same_grid(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"picture.{suffix}", ramp())
    assert read_grid(path).to_meta() == read_picture(path).grid.to_meta()
    assert slices_in(path) == [path]


@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
def test_spacing_comes_from_the_header(tmp_path, suffix):
    path = write_itk(tmp_path / f"picture.{suffix}", ramp(), spacing=(0.5, 0.25))
    assert read_picture(path).spacing_mm == (0.5, 0.25)
    assert read_picture(path).spacing_source.endswith("header")


def test_dots_per_inch_are_not_taken_for_spacing(tmp_path):
    picture = read_picture(write_raster(tmp_path / "picture.png", ramp(), dpi=(300, 300)))
    assert (picture.spacing_mm, picture.spacing_source) == (None, "unknown")


def test_a_single_slice_with_the_identity_has_no_geometry(tmp_path):
    path = tmp_path / "placeholder.nii.gz"
    nib.save(nib.Nifti1Image(ramp(), np.eye(4)), path)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.array, ramp())
    assert picture.spacing_mm is None


def test_a_single_slice_without_orientation_is_taken_as_stored_with_its_spacing(tmp_path):
    path = tmp_path / "no_orientation.nii.gz"
    image = nib.Nifti1Image(ramp()[:, :, np.newaxis], None)
    image.header.set_zooms((0.5, 0.25, 1.0))
    nib.save(image, path)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.array, ramp())
    assert picture.spacing_mm == (0.5, 0.25)


def test_nifti_lengths_in_micrometres_become_millimetres(tmp_path):
    path = tmp_path / "micrograph.nii"
    image = nib.Nifti1Image(ramp(), np.diag([-250.0, -500.0, 1000.0, 1.0]))
    image.header.set_xyzt_units("micron")
    nib.save(image, path)
    picture = read_picture(path)
    assert picture.spacing_mm == (0.25, 0.5)
    assert "micron" in picture.warnings[0]


def test_integral_nifti_values_stay_integers_and_scaled_ones_become_float32(tmp_path):
    path = tmp_path / "wide.nii"
    nib.save(nib.Nifti1Image(ramp(dtype=np.int16).astype(np.int32), np.diag([-1.0, -1, 2, 1])), path)
    assert read_picture(path).array.dtype == np.int16
    image = nib.Nifti1Image(ramp(dtype=np.float64), np.diag([-1.0, -1, 2, 1]))
    image.set_data_dtype(np.int16)
    nib.save(image, path)
    scaled = read_picture(path).array
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, ramp(dtype=np.float64), atol=1e-6)


def test_a_nifti_name_need_not_tell_whether_it_is_compressed(tmp_path):
    write_itk(tmp_path / "a.nii", ramp())
    write_itk(tmp_path / "b.nii.gz", ramp())
    (tmp_path / "a.nii").rename(tmp_path / "plain.nii.gz")
    (tmp_path / "b.nii.gz").rename(tmp_path / "zipped.nii")
    for name in ("plain.nii.gz", "zipped.nii"):
        np.testing.assert_array_equal(read_picture(tmp_path / name).array, ramp())


@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
def test_a_volume_is_cut_in_display_order(tmp_path, suffix):
    volume = np.random.default_rng(0).integers(-1000, 1000, (6, 5, 4)).astype(np.int16)
    # Axial slices stored from head to foot, rows from back to front.
    direction = [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    path = write_itk(tmp_path / f"volume.{suffix}", volume, spacing=(1, 1, 3), direction=direction, origin=(5, 6, 7))
    whole = read_picture(path)
    np.testing.assert_array_equal(whole.array, volume[:, ::-1, ::-1])
    assert slices_in(path) == [f"{path}#slice={k}" for k in range(4)]
    for number, name in enumerate(slices_in(path)):
        one = read_picture(name)
        np.testing.assert_array_equal(one.array, whole.array[:, :, number])
        np.testing.assert_allclose(one.affine[:3, 3], (whole.affine @ [0, 0, number, 1])[:3])
        assert (one.depth, one.meta()["frame"], slices_in(name)) == (1, number, [name])


def test_slices_are_copies_that_may_be_changed(tmp_path):
    path = write_itk(tmp_path / "volume.mha", np.zeros((6, 5, 4), np.float32))
    read_picture(f"{path}#slice=1").array[:] = 9
    assert not read_picture(f"{path}#slice=1").array.any()


def test_values_that_are_not_finite_are_told(tmp_path):
    values = ramp(dtype=np.float32)
    values[2, 3] = np.nan
    picture = read_picture(write_raster(tmp_path / "float.tif", values))
    assert picture.warnings == ("1 of 35 values are not finite (NaN or infinity): a network gets the least.",)
