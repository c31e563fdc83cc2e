"""DICOM segmentations as masks: by the image that each frame belongs to, and as a volume by place."""

import numpy as np
import pytest
from pydicom.uid import RLELossless
from reader_phantoms import CT_IMAGE, dicom_of, save_dicom, write_dicom
from segmentation_phantoms import segmentation, write_segmentation

from pipeline.errors import UnsupportedImage
from pipeline.readers import read_mask, read_picture, segmentation_of

AXIAL = (1, 0, 0, 0, 1, 0)


def mask(seed, rows=5, columns=7):
    return (np.random.default_rng(seed).random((rows, columns)) < 0.4).astype(np.uint8)


def test_a_film_has_the_mask_that_refers_to_it(tmp_path):
    path = write_segmentation(tmp_path / "seg", [(mask(1), 1, "1.2.1", None)])
    picture = read_picture(f"{path}#instance=1.2.1", labels=True)
    np.testing.assert_array_equal(picture.array, mask(1).T)
    assert picture.segments == ((1, "first"),)
    assert picture.array.dtype == np.uint8
    np.testing.assert_array_equal(read_picture(path, labels=True).array, mask(1).T)


def test_a_segmentation_is_still_no_image(tmp_path):
    path = write_segmentation(tmp_path / "seg", [(mask(1), 1, "1.2.1", None)])
    with pytest.raises(UnsupportedImage, match="a segmentation"):
        read_picture(path)
    with pytest.raises(UnsupportedImage, match="a segmentation"):
        read_picture(f"{path}#instance=1.2.1")


def ct_slices(tmp_path, cosines, count=4):
    normal = np.cross(cosines[:3], cosines[3:])
    files = {}
    for k in range(count):
        files[f"1.2.{k}"] = write_dicom(
            tmp_path / f"ct{k}",
            np.random.default_rng(k).integers(0, 99, (5, 7)).astype(np.int16),
            sop_class=CT_IMAGE,
            SOPInstanceUID=f"1.2.{k}",
            SeriesInstanceUID="1.2.3",
            ImageOrientationPatient=list(cosines),
            ImagePositionPatient=(np.array([3.0, 4, 5]) + 2 * k * normal).round(6).tolist(),
            PixelSpacing=[0.5, 0.4],
            SliceThickness=2,
        )
    return files, [tuple((np.array([3.0, 4, 5]) + 2 * k * normal).round(6)) for k in range(count)]


ORIENTATIONS = {
    "axial": AXIAL,
    "prone": (-1, 0, 0, 0, -1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "negated columns": (1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (0.8, 0, 0.6, 0, 1, 0),
}


@pytest.mark.parametrize("cosines", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_the_mask_of_a_slice_lies_on_the_grid_of_the_slice(tmp_path, cosines):
    files, places = ct_slices(tmp_path, cosines)
    # Slice 2 holds nothing, and the frames come in no order.
    frames = [(mask(k), 1, f"1.2.{k}", places[k]) for k in (3, 0, 1)]
    referenced = [(uid, 0) for uid in files]
    path = write_segmentation(tmp_path / "seg", frames, referenced=referenced, cosines=cosines, spacing=[0.5, 0.4])
    for k, (uid, file) in enumerate(files.items()):
        image = read_picture(file)
        read = read_picture(f"{path}#instance={uid}", labels=True)
        stored = mask(k) if k != 2 else np.zeros((5, 7))
        np.testing.assert_array_equal(read.grid.to_source(read.array)[:, :, 0], stored.T)
        # Shown as its image is, in the same place.
        np.testing.assert_array_equal(read.array, image.grid.to_display(stored.T[:, :, np.newaxis]))
        if k != 2:
            np.testing.assert_allclose(read.affine, image.affine)
            assert read.spacing_source == "PixelSpacing"
        else:
            np.testing.assert_allclose(read.affine[:3, :3], image.affine[:3, :3])
            assert read.spacing_source == "unknown"


@pytest.mark.parametrize("cosines", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_the_whole_is_a_volume_by_place(tmp_path, cosines):
    (tmp_path / "ct").mkdir()
    _, places = ct_slices(tmp_path / "ct", cosines, count=3)
    frames = [(mask(k), 1, f"1.2.{k}", places[k]) for k in (2, 0, 1)]
    path = write_segmentation(tmp_path / "seg", frames, cosines=cosines, spacing=[0.5, 0.4])
    volume, image = read_picture(path, labels=True), read_picture(tmp_path / "ct")
    assert volume.grid.axes == image.grid.axes
    np.testing.assert_allclose(volume.affine, image.affine, atol=1e-5)
    stored = volume.grid.to_source(volume.array)
    order = np.argsort([np.array(place) @ np.cross(cosines[:3], cosines[3:]) for place in places])
    for k, number in enumerate(order):
        np.testing.assert_array_equal(stored[:, :, k], mask(number).T)


def test_segments_keep_their_numbers_and_the_higher_wins_where_they_overlap(tmp_path):
    first, second = np.zeros((5, 7), np.uint8), np.zeros((5, 7), np.uint8)
    first[:3], second[2:4] = 1, 1
    frames = [(second, 7, "1.2.1", None), (first, 2, "1.2.1", None)]
    path = write_segmentation(tmp_path / "seg", frames, segments={2: "lung", 7: "heart"})
    read = read_picture(f"{path}#instance=1.2.1", labels=True)
    np.testing.assert_array_equal(read.array.T, np.array([2, 2, 7, 7, 0])[:, np.newaxis] * np.ones(7, int))
    assert "7 pixels belong to several segments" in read.warnings[0]


def test_a_fractional_segment_is_where_it_reaches_a_half(tmp_path):
    values = np.array([[0, 99, 100], [101, 150, 200]], np.uint8)  # of 200
    path = write_segmentation(tmp_path / "seg", [(values, 1, "1.2.1", None)], kind="FRACTIONAL")
    np.testing.assert_array_equal(read_picture(path, labels=True).array.T, [[0, 0, 1], [1, 1, 1]])


def test_a_label_map_holds_its_numbers(tmp_path):
    values = np.array([[0, 1, 3], [3, 1, 0]], np.uint8)
    frames = [(values, 0, "1.2.1", None), (values[::-1], 0, "1.2.2", None)]
    path = write_segmentation(tmp_path / "seg", frames, kind="LABELMAP", segments={1: "lung", 3: "heart"})
    np.testing.assert_array_equal(read_picture(f"{path}#instance=1.2.2", labels=True).array.T, values[::-1])


def test_frames_of_a_multi_frame_image_are_told_apart(tmp_path):
    frames = [(mask(k), 1, ("1.2.9", k + 1), None) for k in range(3)]
    path = write_segmentation(tmp_path / "seg", frames)
    for k in range(3):
        read = read_picture(f"{path}#instance=1.2.9:{k + 1}", labels=True)
        np.testing.assert_array_equal(read.array, mask(k).T)


def test_a_compressed_segmentation_is_read(tmp_path):
    ds = segmentation([(np.minimum(mask(k) * 200, 200), 1, f"1.2.{k}", None) for k in range(2)], kind="FRACTIONAL")
    ds.compress(RLELossless)
    path = save_dicom(ds, tmp_path / "seg")
    np.testing.assert_array_equal(read_picture(f"{path}#instance=1.2.1", labels=True).array, mask(1).T)


def test_an_image_that_the_segmentation_does_not_know_is_refused(tmp_path):
    path = write_segmentation(tmp_path / "seg", [(mask(1), 1, "1.2.1", None)])
    with pytest.raises(UnsupportedImage, match="does not refer to the image"):
        read_picture(f"{path}#instance=1.2.99", labels=True)
    image = write_dicom(tmp_path / "film", mask(2))
    with pytest.raises(UnsupportedImage, match="not a DICOM segmentation"):
        read_picture(f"{image}#instance=1.2.1", labels=True)


def test_read_mask_decodes_the_segments_as_the_datalist_says(tmp_path):
    path = write_segmentation(tmp_path / "seg", [(mask(1), 4, "1.2.1", None)], segments={4: "lung"})
    np.testing.assert_array_equal(read_mask(f"{path}#instance=1.2.1", "levels:0=0,4=1", 2), mask(1).T)


def test_a_segmentation_that_was_written_again_is_read_again(tmp_path):
    import os

    path = write_segmentation(tmp_path / "seg", [(mask(1), 1, "1.2.1", None)])
    read_picture(f"{path}#instance=1.2.1", labels=True)
    write_segmentation(tmp_path / "seg", [(mask(2), 1, "1.2.1", None)])
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(read_picture(f"{path}#instance=1.2.1", labels=True).array, mask(2).T)


def test_the_patient_stays_out_of_the_description(tmp_path):
    path = write_segmentation(tmp_path / "seg", [(mask(1), 1, "1.2.1", None)])
    assert "Phantom" not in repr(segmentation_of(path))


def test_an_empty_file_of_segments_is_told(tmp_path):
    ds = dicom_of(mask(1), sop_class="1.2.840.10008.5.1.4.1.1.66.4", SegmentationType="BINARY")
    path = save_dicom(ds, tmp_path / "seg")
    with pytest.raises(UnsupportedImage, match="no frames"):
        read_picture(path, labels=True)
