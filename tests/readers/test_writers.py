"""A mask goes back to exactly the grid it came from."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from reader_phantoms import CT_IMAGE, colours, dicom_of, ramp, save_dicom, write_dicom, write_itk, write_raster

from pipeline.errors import GeometryMismatch, InvalidOption
from pipeline.readers import read_picture, write_mask, write_probabilities


def rows(array):
    return np.ascontiguousarray(array.swapaxes(0, 1))


def mask_of(picture):
    """A mask without symmetry in display orientation."""
    shape = picture.grid.display_shape
    return np.random.default_rng(1).integers(0, 3, shape).astype(np.uint8)


def turned(path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return write_raster(path, ramp(), exif=exif)


PICTURES = {
    "picture.png": lambda path: write_raster(path, ramp()),
    "colour.png": lambda path: write_raster(path, colours()),
    "film.jpg": lambda path: write_raster(path, ramp()),
    "bits16.tif": lambda path: write_raster(path, ramp(dtype=np.uint16)),
    "float.tif": lambda path: write_raster(path, ramp(dtype=np.float32)),
    "picture.bmp": lambda path: write_raster(path, ramp()),
    "film.dcm": lambda path: write_dicom(path, rows(ramp(dtype=np.uint16)), PixelSpacing=[0.3, 0.2]),
    "flat.nii.gz": lambda path: write_itk(path, ramp(), spacing=(0.3, 0.2)),
    "flat.mha": lambda path: write_itk(path, ramp(), spacing=(0.3, 0.2)),
    "flat.nrrd": lambda path: write_itk(path, ramp(), spacing=(0.3, 0.2), direction=[[-1, 0], [0, 1]]),
    **{f"turned{n}.png": lambda path, n=n: turned(path, n) for n in range(2, 9)},
}


@pytest.mark.parametrize("result", ["mask.png", "mask.nii.gz", "mask.nii", "mask.mha", "mask.nrrd"])
@pytest.mark.parametrize("name", list(PICTURES))
def test_the_mask_of_a_picture_reads_back_on_its_grid(tmp_path, name, result):
    picture = read_picture(PICTURES[name](tmp_path / name))
    mask = mask_of(picture)
    write_mask(mask, picture, tmp_path / result)
    again = read_picture(tmp_path / result, labels=True)
    np.testing.assert_array_equal(again.array, mask)
    assert again.array.dtype == np.uint8
    if result != "mask.png":  # which holds no spacing
        np.testing.assert_allclose(again.affine, picture.affine, rtol=1e-6)
        np.testing.assert_array_equal(again.grid.stored_shape[:2], picture.grid.stored_shape[:2])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_mask_has_the_rows_and_columns_of_the_file(tmp_path, orientation):
    picture = read_picture(turned(tmp_path / "picture.png", orientation))
    write_mask(mask_of(picture), picture, tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as mask, Image.open(tmp_path / "picture.png") as image:
        assert (mask.size, mask.mode) == (image.size, "L")
        np.testing.assert_array_equal(np.asarray(mask).T, picture.grid.to_source(mask_of(picture)))


def rotation(degrees):
    a, b, c = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


DIRECTIONS = {
    "as usual": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "permuted": np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]]),
    "oblique": rotation((10, -20, 15)),
    "oblique and permuted": rotation((10, -20, 15)) @ np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]]),
}
SPACINGS = {"anisotropic": (0.7, 0.9, 2.5), "isotropic": (1.0, 1.0, 1.0), "coarse first": (5.0, 0.5, 0.6)}


@pytest.mark.parametrize("spacing", list(SPACINGS))
@pytest.mark.parametrize("direction", list(DIRECTIONS))
@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
def test_the_mask_of_a_volume_lies_on_its_grid_for_itk(tmp_path, suffix, direction, spacing):
    volume = np.random.default_rng(0).integers(-1000, 1000, (6, 5, 4)).astype(np.int16)
    geometry = {"spacing": SPACINGS[spacing], "direction": DIRECTIONS[direction], "origin": (-12.5, 3.25, 100)}
    path = write_itk(tmp_path / f"volume.{suffix}", volume, **geometry)
    picture = read_picture(path)
    # The image itself written as a mask must be the image again, voxel by voxel, for software that is not ours.
    write_mask(picture.array.astype(np.int32) + 1000, picture, tmp_path / f"mask.{suffix}")
    source, mask = sitk.ReadImage(path), sitk.ReadImage(str(tmp_path / f"mask.{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(source).astype(int) + 1000)
    for of in (sitk.Image.GetSize, sitk.Image.GetSpacing, sitk.Image.GetOrigin, sitk.Image.GetDirection):
        np.testing.assert_allclose(of(mask), of(source), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("direction", list(DIRECTIONS))
def test_each_slice_of_a_volume_goes_back_to_its_place(tmp_path, direction):
    volume = np.random.default_rng(0).integers(0, 1000, (6, 5, 4)).astype(np.int16)
    path = write_itk(tmp_path / "volume.nii", volume, spacing=(0.7, 0.9, 2.5), direction=DIRECTIONS[direction])
    for number in range(read_picture(path).depth):
        one = read_picture(f"{path}#slice={number}")
        write_mask(one.array, one, tmp_path / "slice.nii")
        again = read_picture(tmp_path / "slice.nii")
        np.testing.assert_array_equal(again.array, one.array)
        np.testing.assert_allclose(again.affine, one.affine, atol=1e-5)


@pytest.mark.parametrize("codes", [(0, 2), (1, 0), (1, 4), (3, 3)])
@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_nifti_mask_keeps_the_header_of_its_image(tmp_path, image_class, codes):
    affine = np.eye(4)
    affine[:3, :3] = rotation((10, -20, 15)) * (0.7, 0.9, 2.5)
    affine[:3, 3] = (-12.5, 3.25, 100)
    image = image_class(np.arange(120, dtype=np.int16).reshape(6, 5, 4), affine)
    image.set_qform(affine, codes[0])
    image.set_sform(affine, codes[1])
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "image.nii.gz")
    picture = read_picture(tmp_path / "image.nii.gz")
    write_mask(mask_of(picture), picture, tmp_path / "mask.nii.gz")
    before, after = (nib.load(tmp_path / f"{name}.nii.gz") for name in ("image", "mask"))
    assert type(after) is image_class
    for field in ("qform_code", "sform_code", "xyzt_units", "pixdim", "dim", "srow_x", "srow_y", "srow_z", "quatern_b"):
        np.testing.assert_array_equal(after.header[field], before.header[field])
    assert after.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(after.affine, before.affine)


def test_a_placeholder_nifti_stays_one(tmp_path):
    nib.save(nib.Nifti1Image(ramp(), np.eye(4)), tmp_path / "image.nii")
    picture = read_picture(tmp_path / "image.nii")
    write_mask(mask_of(picture), picture, tmp_path / "mask.nii")
    np.testing.assert_array_equal(nib.load(tmp_path / "mask.nii").affine, np.eye(4))
    np.testing.assert_array_equal(read_picture(tmp_path / "mask.nii").array, mask_of(picture))


def test_the_mask_of_a_turned_ct_slice_is_shown_like_the_slice(tmp_path):
    ds = dicom_of(
        rows(ramp(dtype=np.int16)),
        sop_class=CT_IMAGE,
        ImageOrientationPatient=[-1, 0, 0, 0, -1, 0],
        ImagePositionPatient=[100, 120, -50],
        PixelSpacing=[0.5, 0.4],
    )
    picture = read_picture(save_dicom(ds, tmp_path / "slice"))
    for result in ("mask.png", "mask.nii.gz", "mask.mha"):
        write_mask(mask_of(picture), picture, tmp_path / result)
        np.testing.assert_array_equal(read_picture(tmp_path / result).array, mask_of(picture))
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "mask.mha")))[0]
    np.testing.assert_array_equal(stored, mask_of(picture)[::-1, ::-1].T)  # rows and columns of the DICOM file


def test_more_than_255_classes_take_16_bits(tmp_path):
    picture = read_picture(write_raster(tmp_path / "picture.png", ramp()))
    mask = np.arange(35, dtype=np.int64).reshape(7, 5) * 100
    for result in ("mask.png", "mask.nii.gz"):
        write_mask(mask, picture, tmp_path / result)
        again = read_picture(tmp_path / result, labels=True).array
        np.testing.assert_array_equal(again, mask)
        assert again.dtype == np.uint16


@pytest.mark.parametrize("suffix", ["nii.gz", "mha", "nrrd"])
def test_probabilities_are_float32_with_the_channel_last(tmp_path, suffix):
    volume = np.zeros((6, 5, 4), np.int16)
    path = write_itk(tmp_path / f"volume.{suffix}", volume, direction=DIRECTIONS["permuted"], spacing=(1, 2, 3))
    picture = read_picture(path)
    probabilities = np.random.default_rng(0).random((2, *picture.grid.display_shape)).astype(np.float32)
    write_probabilities(probabilities, picture, tmp_path / f"prob.{suffix}")
    if suffix == "nii.gz":
        stored = np.asarray(nib.load(tmp_path / f"prob.{suffix}").dataobj)
    else:
        stored = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"prob.{suffix}"))).transpose(2, 1, 0, 3)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, picture.grid.to_source(np.moveaxis(probabilities, 0, -1)))


def test_probabilities_of_a_picture_have_a_slice_axis_before_the_channels(tmp_path):
    picture = read_picture(write_raster(tmp_path / "picture.png", ramp()))
    write_probabilities(np.zeros((2, 7, 5), np.float32), picture, tmp_path / "prob.nii.gz")
    assert nib.load(tmp_path / "prob.nii.gz").shape == (7, 5, 1, 2)


def test_probabilities_of_one_class_fit_a_16_bit_png(tmp_path):
    picture = read_picture(write_raster(tmp_path / "picture.png", ramp()))
    one = np.linspace(0, 1, 35, dtype=np.float32).reshape(1, 7, 5)
    write_probabilities(one, picture, tmp_path / "prob.png")
    np.testing.assert_allclose(read_picture(tmp_path / "prob.png").array / 65535, one[0], atol=1e-5)
    with pytest.raises(InvalidOption, match="one class, not 2"):
        write_probabilities(np.zeros((2, 7, 5), np.float32), picture, tmp_path / "two.png")


@pytest.mark.parametrize(
    ("mask", "result", "error", "said"),
    [
        (np.zeros((5, 7), np.uint8), "mask.png", GeometryMismatch, "5×7, its image 7×5.*Invertd"),
        (np.full((7, 5), 0.5), "mask.png", InvalidOption, "fractions"),
        (np.full((7, 5), -1), "mask.png", InvalidOption, "from -1 to -1"),
        (np.full((7, 5), 70000), "mask.png", InvalidOption, "70000"),
        (np.zeros((7, 5), np.uint8), "mask.jpg", InvalidOption, r"not as '\.jpg'"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, mask, result, error, said):
    picture = read_picture(write_raster(tmp_path / "picture.png", ramp()))
    with pytest.raises(error, match=said):
        write_mask(mask, picture, tmp_path / result)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_a_volume_does_not_fit_a_png(tmp_path):
    picture = read_picture(write_itk(tmp_path / "volume.mha", np.zeros((6, 5, 4), np.int16)))
    with pytest.raises(InvalidOption, match="one slice, the mask has 4"):
        write_mask(mask_of(picture), picture, tmp_path / "mask.png")


@pytest.mark.parametrize("result", ["mask.png", "mask.nii.gz", "mask.mha"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, result):
    picture = read_picture(write_raster(tmp_path / "picture.png", ramp()))
    (tmp_path / result).write_bytes(b"old")

    def full_disk(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    monkeypatch.setattr(nib, "save", full_disk)
    monkeypatch.setattr(sitk, "WriteImage", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_mask(mask_of(picture), picture, tmp_path / result)
    assert (tmp_path / result).read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["picture.png", result])
