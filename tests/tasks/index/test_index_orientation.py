"""Masks that do not lie as their images do: told, taken as the user says, or refused."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "readers"))
from reader_phantoms import CT_IMAGE, write_dicom

from pipeline.datalist import load_cases
from pipeline.errors import InvalidDatalist, InvalidOption
from pipeline.readers import PlanarReader, read_grid, read_mask, read_picture
from pipeline.split import PARTS
from pipeline.tasks.index import IndexOptions, LabelOptions, SplitOptions, index_set

ALL_TRAIN = IndexOptions(split=SplitOptions(test_only=True), labels=LabelOptions(threshold=127), workers=1)
HEAD_FIRST = [1, 0, 0, 0, 1, 0]
PRONE = [-1, 0, 0, 0, -1, 0]
SIDEWAYS = [0, 1, 0, 1, 0, 0]  # rows of the file are columns of the picture


def picture_and_mask(seed: int, shape=(24, 20)):
    """Stored pixels [x, y], brighter where the mask is."""
    mask = np.zeros(shape, np.uint8)
    mask[3:9, 2:6] = 255
    grey = np.random.default_rng(seed).integers(0, 100, shape)
    return (grey + mask // 2).astype(np.uint8), mask


def ct_slices(small_set, cosines, shape=(24, 20), number=3):
    """CT slices that lie so, and PNG masks that were drawn on their pixels as stored."""
    for folder in (small_set.images, small_set.masks):
        folder.mkdir()
    for k in range(number):
        grey, mask = picture_and_mask(k, shape)
        write_dicom(
            small_set.images / f"{k}.dcm",
            grey.T.astype(np.uint16),
            sop_class=CT_IMAGE,
            Modality="CT",
            PatientID=f"p{k}",
            ImageOrientationPatient=cosines,
            ImagePositionPatient=[0, 0, k],
            PixelSpacing=[1, 1],
        )
        Image.fromarray(mask.T).save(small_set.masks / f"{k}.png")


def index(small_set, masks_as=None):
    options = replace(ALL_TRAIN, masks_as=masks_as, overwrite=True)
    return index_set(small_set.images, [small_set.masks], small_set.output, options).datalist


def codes(datalist) -> set[str]:
    return {finding.code for finding in (*datalist.warnings, *datalist.refused)}


def matches(small_set) -> list[bool]:
    """Whether each mask lies where its image is bright, by all that reads a label."""
    reader = PlanarReader(labels=True)
    found = []
    for case in load_cases(small_set.output, "test"):
        image = read_picture(case["image"]).array
        mask = read_mask(case["label"], case["label_coding"])
        loaded, meta = reader.get_data(reader.read(case["label"]))
        assert np.array_equal(loaded > 0, mask > 0)
        assert tuple(meta["spatial_shape"]) == mask.shape == read_grid(case["label"]).display_shape
        found.append(bool(np.array_equal(mask > 0, image > 120 if image.max() < 1000 else image > 1120)))
    return found


def test_masks_of_an_ordinary_ct_need_no_word(small_set):
    ct_slices(small_set, HEAD_FIRST)
    assert codes(index(small_set)) == set()
    assert codes(index(small_set, "stored")) == codes(index(small_set, "shown")) == set()
    assert all("#" not in case["label"] for case in load_cases(small_set.output, "test"))


def test_masks_of_a_ct_that_is_turned_for_display_are_told_and_taken_as_said(small_set):
    ct_slices(small_set, PRONE)
    found = index(small_set)
    assert [finding.code for finding in found.warnings] == ["orientation_assumed"] * 3
    assert "the image is shown turned by 180°, the mask as stored" in found.warnings[0].reason
    assert "--masks-as stored" in found.warnings[0].reason
    assert matches(small_set) == [False] * 3
    assert codes(index(small_set, "shown")) == set()
    assert matches(small_set) == [False] * 3
    assert codes(index(small_set, "stored")) == set()
    assert matches(small_set) == [True] * 3


def test_a_mask_that_fits_the_pixels_as_stored_alone_is_refused_until_that_is_said(small_set):
    ct_slices(small_set, SIDEWAYS)
    with pytest.raises(InvalidDatalist, match=r"mask 24×20 does not match image 20×24.*say --masks-as stored"):
        index(small_set)
    assert codes(index(small_set, "stored")) == set()
    assert matches(small_set) == [True] * 3


def test_a_mask_that_fits_the_picture_as_shown_alone_needs_no_word(small_set):
    ct_slices(small_set, SIDEWAYS)
    for k in range(3):
        _, mask = picture_and_mask(k)
        Image.fromarray(mask).save(small_set.masks / f"{k}.png")
    assert codes(index(small_set)) == set()
    assert matches(small_set) == [True] * 3
    with pytest.raises(InvalidDatalist, match=r"as stored do not fit.*--masks-as shown"):
        index(small_set, "stored")


@pytest.mark.parametrize(("orientation", "how"), [(3, "turned by 180°"), (6, "turned by 90°"), (2, "mirrored left")])
def test_photographs_that_exif_turns_are_told(small_set, orientation, how):
    for folder in (small_set.images, small_set.masks):
        folder.mkdir()
    exif = Image.Exif()
    exif[274] = orientation
    for k in range(3):
        grey, mask = picture_and_mask(k, (24, 24))
        Image.fromarray(grey.T).save(small_set.images / f"{k}.png", exif=exif)
        Image.fromarray(mask.T).save(small_set.masks / f"{k}.png")
    found = index(small_set)
    assert codes(found) == {"orientation_assumed"}
    assert how in found.warnings[0].reason
    index(small_set, "stored")
    assert matches(small_set) == [True] * 3
    # Masks that are turned by their own files lie as the images do.
    for k in range(3):
        Image.open(small_set.masks / f"{k}.png").save(small_set.masks / f"{k}.png", exif=exif)
    assert codes(index(small_set)) == set()
    assert matches(small_set) == [True] * 3


def volumes(small_set, affine_of_image, affine_of_mask, change=lambda mask: mask):
    for folder in (small_set.images, small_set.masks):
        folder.mkdir(exist_ok=True)
    for k in range(3):
        pairs = [picture_and_mask(10 * k + z) for z in range(4)]
        grey, mask = (np.stack([pair[n] for pair in pairs], 2) for n in (0, 1))
        nib.save(nib.Nifti1Image(grey.astype(np.int16), affine_of_image), small_set.images / f"{k}.nii.gz")
        nib.save(nib.Nifti1Image(change(mask), affine_of_mask), small_set.masks / f"{k}.nii.gz")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (np.diag([-0.7, -0.7, 3, 1]), np.eye(4)),
        (np.diag([-1.0, -1, 3, 1]), np.diag([1.0, 1, 3, 1])),
        (np.diag([1.0, 1, -3, 1]), np.diag([1.0, 1, 3, 1])),
    ],
)
def test_volumes_whose_files_contradict_each_other_are_refused(small_set, image, mask):
    volumes(small_set, image, mask)
    with pytest.raises(InvalidDatalist, match=r"3 orientation_differs.*affine of the image; or say --masks-as stored"):
        index(small_set)
    assert codes(index(small_set, "stored")) == set()
    assert matches(small_set) == [True] * 12


def test_volumes_that_are_stored_in_other_orders_at_one_place_are_left_alone(small_set):
    image = np.diag([-1.0, -1, 3, 1])
    mask = np.diag([1.0, 1, 3, 1])
    mask[:2, 3] = -23, -19
    volumes(small_set, image, mask, lambda stored: stored[::-1, ::-1])
    for masks_as in (None, "stored", "shown"):
        assert codes(index(small_set, masks_as)) == set()
        assert matches(small_set) == [True] * 12


def test_pages_of_a_tiff_beside_a_volume_are_told(small_set):
    volumes(small_set, np.diag([1.0, 1, 3, 1]), np.eye(4))
    for k in range(3):
        (small_set.masks / f"{k}.nii.gz").unlink()
        pages = [Image.fromarray(picture_and_mask(10 * k + z)[1].T) for z in range(4)]
        pages[0].save(small_set.masks / f"{k}.tif", save_all=True, append_images=pages[1:])
    assert codes(index(small_set)) == {"orientation_assumed"}
    assert matches(small_set) == [False] * 12
    index(small_set, "stored")
    assert matches(small_set) == [True] * 12
    assert all("#axes=-x-y+z#slice=" in case["label"] for case in load_cases(small_set.output, "test"))


def test_an_unknown_way_to_take_masks_is_refused(small_set):
    with pytest.raises(InvalidOption, match=r"'drawn'. Choose from shown, stored"):
        index(small_set.cases(3), "drawn")


def test_paths_stay_relative_and_files_are_found(small_set):
    ct_slices(small_set, PRONE)
    found = index(small_set, "stored")
    labels = [item["label"] for part in PARTS for item in found.part(part)]
    assert labels[0] == "masks/0.png#axes=-x-y+z"
    Path(small_set.masks / "0.png").unlink()
    with pytest.raises(InvalidDatalist, match=r"not there, first .*0\.png"):
        load_cases(small_set.output, "test")


def series_and_pages(small_set, cosines, numbers):
    """A CT series per case, its InstanceNumbers from feet to head, and masks without a place in that order."""
    small_set.masks.mkdir()
    for case in range(3):
        (small_set.images / f"c{case}").mkdir(parents=True)
        stack = [picture_and_mask(10 * case + z) for z in range(4)]
        for z, (grey, _) in enumerate(stack):
            write_dicom(
                small_set.images / f"c{case}" / f"{z}.dcm",
                grey.T.astype(np.uint16),
                sop_class=CT_IMAGE,
                Modality="CT",
                PatientID=f"p{case}",
                SeriesInstanceUID=f"1.2.3.{case + 1}",
                InstanceNumber=numbers[z],
                ImageOrientationPatient=cosines,
                ImagePositionPatient=[0, 0, 3 * z],
                PixelSpacing=[1, 1],
            )
        mask = np.stack([mask for _, mask in stack], 2)
        nib.save(nib.Nifti1Image(mask, np.diag([-1.0, -1, 1, 1])), small_set.masks / f"c{case}.nii")


def test_slices_of_a_series_are_counted_along_their_normal_and_that_is_said(small_set):
    series_and_pages(small_set, PRONE, numbers=[1, 2, 3, 4])
    along = r"slices counted along the normal of the slices \(feet to head for axial ones\), not by file or Instance"
    found = index(small_set)
    assert codes(found) == {"orientation_assumed"}
    assert re.search(along, found.warnings[0].reason)
    assert codes(index(small_set, "stored")) == set()
    assert matches(small_set) == [True] * 12


@pytest.mark.parametrize("cosines", [PRONE, HEAD_FIRST])
def test_instance_numbers_against_the_normal_are_told_where_masks_are_as_stored(small_set, cosines):
    series_and_pages(small_set, cosines, numbers=[4, 3, 2, 1])
    found = index(small_set, "stored")
    told = [finding.reason for finding in found.warnings if finding.code == "slices_numbered_against"]
    assert len(told) == 3
    assert "InstanceNumbers run the other way" in told[0]
    assert matches(small_set) == [True] * 12
    assert "slices_numbered_against" not in codes(index(small_set, "shown"))
