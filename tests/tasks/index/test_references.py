"""DICOM segmentations as training masks: paired by what they say, whatever the files are called."""

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "readers"))
from reader_phantoms import CT_IMAGE, dicom_of, item, save_dicom, write_dicom, write_raster
from segmentation_phantoms import write_segmentation

from pipeline.datalist import load_cases
from pipeline.errors import InvalidOption, UnknownLabel
from pipeline.labels import classes_of_segments, segments_coding
from pipeline.readers import read_mask, read_picture
from pipeline.tasks.index import IndexOptions, LabelOptions, SplitOptions, index_set

AXIAL = (1, 0, 0, 0, 1, 0)


def box(number, rows=16, columns=20):
    mask = np.zeros((rows, columns), np.uint8)
    mask[2 : 6 + number, 3:9] = 1
    return mask


def film(folder, name, number):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 4000, (16, 20)).astype(np.uint16)
    return write_dicom(folder / name, pixels, SOPInstanceUID=f"1.2.{number}", PatientID=f"P{number}")


def ct_slice(folder, number, **elements):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(-1000, 1000, (16, 20)).astype(np.int16)
    usual = {
        "SOPInstanceUID": f"1.2.{number}",
        "SeriesInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.8",
        "ImageOrientationPatient": list(AXIAL),
        "ImagePositionPatient": [0, 0, 2 * number],
        "PixelSpacing": [0.5, 0.4],
    }
    return write_dicom(folder / f"slice{number}", pixels, sop_class=CT_IMAGE, **(usual | elements))


def index(folder, **options):
    options.setdefault("split", SplitOptions(test_only=True))
    result = index_set(
        folder / "images", [folder / "masks"], folder / "datalist.json", IndexOptions(workers=1, **options)
    )
    return result, json.loads((folder / "datalist.json").read_text())


def masks_of(folder, content):
    return {
        Path(case["image"]).name: read_mask(case["label"], case["label_coding"], len(content["labels"]))
        for case in load_cases(folder / "datalist.json", "test")
    }


def findings(content, kind):
    return {Path(entry["file"]).name: entry["code"] for entry in content[kind]}


def test_films_get_the_segmentations_that_refer_to_them(tmp_path):
    for number in range(3):
        film(tmp_path / "images", f"IM{number}", number)
        # Named so that names would pair them wrongly.
        write_segmentation(tmp_path / "masks" / f"IM{(number + 1) % 3}", [(box(number), 1, f"1.2.{number}", None)])
    _, content = index(tmp_path)
    assert content["labels"] == {"0": "background", "1": "first"}
    read = masks_of(tmp_path, content)
    for number in range(3):
        np.testing.assert_array_equal(read[f"IM{number}"], box(number).T)
    assert content["refused"] == []


def test_slices_of_a_series_get_their_planes_and_empty_ones_are_left_out(tmp_path):
    for number in range(5):
        ct_slice(tmp_path / "images", number)
    frames = [(box(k), 1, f"1.2.{k}", (0, 0, 2 * k)) for k in (1, 2)]
    referenced = [(f"1.2.{k}", 0) for k in range(4)]
    write_segmentation(
        tmp_path / "masks" / "seg", frames, referenced=referenced, cosines=AXIAL, spacing=[0.5, 0.4], series="1.2.3"
    )
    _, content = index(tmp_path)
    read = masks_of(tmp_path, content)
    assert set(read) == {"slice1", "slice2"}
    for number in (1, 2):
        np.testing.assert_array_equal(read[f"slice{number}"], box(number).T)
    # Slice 4 is of the series, though the segmentation does not list it.
    assert findings(content, "warnings") == {"seg": "empty_slices"}
    assert content["warnings"][0]["reason"].startswith("3 images")
    _, content = index(tmp_path, keep_empty_slices=1.0, overwrite=True)
    read = masks_of(tmp_path, content)
    assert set(read) == {"slice0", "slice1", "slice2", "slice3"}
    assert not read["slice0"].any()


def test_a_film_in_which_nothing_was_found_is_a_case(tmp_path):
    film(tmp_path / "images", "IM0", 0)
    write_segmentation(tmp_path / "masks" / "seg", [(np.zeros((16, 20)), 1, "1.2.0", None)])
    _, content = index(tmp_path)
    assert not masks_of(tmp_path, content)["IM0"].any()
    assert findings(content, "warnings")["seg#instance=1.2.0"] == "empty_mask"


def test_planes_without_reference_are_matched_by_place(tmp_path):
    for number in range(4):
        ct_slice(tmp_path / "images", number)
    frames = [(box(k), 1, None, (0, 0, 2 * k)) for k in (3, 1)]
    write_segmentation(
        tmp_path / "masks" / "seg", frames, cosines=AXIAL, spacing=[0.5, 0.4], FrameOfReferenceUID="1.2.8"
    )
    _, content = index(tmp_path)
    read = masks_of(tmp_path, content)
    assert set(read) == {"slice1", "slice3"}
    for number in (1, 3):
        np.testing.assert_array_equal(read[f"slice{number}"], box(number).T)
    assert findings(content, "refused") == {"slice0": "missing_mask", "slice2": "missing_mask"}


@pytest.mark.parametrize(
    "elsewhere", [{"FrameOfReferenceUID": "1.2.99"}, {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}]
)
def test_planes_of_another_frame_of_reference_are_not_matched(tmp_path, elsewhere):
    ct_slice(tmp_path / "images", 0, **elsewhere)
    frames = [(box(0), 1, None, (0, 0, 0))]
    write_segmentation(tmp_path / "masks" / "seg", frames, cosines=AXIAL, FrameOfReferenceUID="1.2.8")
    with pytest.raises(InvalidOption, match="No image belongs to a segmentation"):
        index(tmp_path)


def test_frames_of_a_multi_frame_image_get_their_planes(tmp_path):
    places = [(0, 0, 4), (0, 0, 0), (0, 0, 2)]  # frames in no order
    pixels = np.random.default_rng(0).integers(-1000, 1000, (3, 16, 20)).astype(np.int16)
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(AXIAL))],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.4])],
    )
    ds = dicom_of(
        pixels,
        sop_class="1.2.840.10008.5.1.4.1.1.2.1",
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[
            item(PlanePositionSequence=[item(ImagePositionPatient=list(place))]) for place in places
        ],
    )
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.77"
    (tmp_path / "images").mkdir()
    save_dicom(ds, tmp_path / "images" / "enhanced")
    frames = [(box(k), 1, ("1.2.77", k + 1), places[k]) for k in range(3)]
    write_segmentation(tmp_path / "masks" / "seg", frames, cosines=AXIAL, spacing=[0.5, 0.4])
    _, content = index(tmp_path)
    cases = load_cases(tmp_path / "datalist.json", "test")
    assert len(cases) == 3
    for case in cases:
        image = read_picture(case["image"])
        (frame,) = [k for k in range(3) if np.array_equal(image.array, pixels[k].T)]
        np.testing.assert_array_equal(read_mask(case["label"], case["label_coding"], 2), box(frame).T)
    assert content["warnings"] == []


def test_segments_are_matched_with_classes_by_their_labels(tmp_path):
    both = {1: "Heart", 2: "Lung, left"}
    turned = {1: "left lung", 2: "heart", 3: "Catheter"}
    for number, segments in enumerate((both, turned)):
        film(tmp_path / "images", f"IM{number}", number)
        frames = [(np.roll(box(0), 6 * n, 1), n, f"1.2.{number}", None) for n in segments]
        write_segmentation(tmp_path / "masks" / f"seg{number}", frames, segments=segments)
    _, content = index(tmp_path, labels=LabelOptions(class_names=("left_lung", "heart")))
    read = masks_of(tmp_path, content)
    assert (read["IM0"][9, 2], read["IM0"][15, 2]) == (2, 1)
    # The catheter lies at the left edge.
    assert (read["IM1"][9, 2], read["IM1"][15, 2], read["IM1"][3, 2]) == (1, 2, 0)
    assert findings(content, "warnings")[f"seg1#instance=1.2.{1}"] == "other_segments"


def test_a_mask_whose_segments_are_no_class_is_refused(tmp_path):
    film(tmp_path / "images", "IM0", 0)
    film(tmp_path / "images", "IM1", 1)
    write_segmentation(tmp_path / "masks" / "a", [(box(0), 1, "1.2.0", None)], segments=("lung", "rib"))
    write_segmentation(tmp_path / "masks" / "b", [(box(0), 1, "1.2.1", None)], segments=("pacemaker", "wire"))
    _, content = index(tmp_path, labels=LabelOptions(class_names=("lung", "rib")))
    assert len(content["test"]) == 1
    assert [entry["code"] for entry in content["refused"]] == ["unknown_label"]


def test_the_newest_of_several_segmentations_is_taken_and_told(tmp_path):
    film(tmp_path / "images", "IM0", 0)
    for day in (1, 3, 2):
        write_segmentation(
            tmp_path / "masks" / f"day{day}", [(box(day), 1, "1.2.0", None)], ContentDate=f"2026010{day}"
        )
    _, content = index(tmp_path)
    np.testing.assert_array_equal(masks_of(tmp_path, content)["IM0"], box(3).T)
    assert "day3 is the newest" in content["warnings"][0]["reason"]


def test_segmentations_that_contradict_each_other_are_refused(tmp_path):
    for number in range(2):
        film(tmp_path / "images", f"IM{number}", number)
        write_segmentation(
            tmp_path / "masks" / f"lung{number}", [(box(1), 1, f"1.2.{number}", None)], segments=("lung",)
        )
    write_segmentation(tmp_path / "masks" / "heart", [(box(2), 1, "1.2.0", None)], segments=("heart",))
    _, content = index(tmp_path)
    assert [case["label"] for case in content["test"]] == ["masks/lung1#instance=1.2.1"]
    assert findings(content, "refused")["IM0"] == "ambiguous_mask"


def test_images_and_segmentations_may_lie_in_one_folder(tmp_path):
    film(tmp_path / "study", "IM0", 0)
    write_segmentation(tmp_path / "study" / "IM1", [(box(0), 1, "1.2.0", None)])
    write_raster(tmp_path / "study" / "logo.png", np.zeros((4, 4), np.uint8))
    options = IndexOptions(workers=1, split=SplitOptions(test_only=True))
    result = index_set(tmp_path / "study", [tmp_path / "study"], tmp_path / "datalist.json", options)
    assert [case["image"] for case in result.datalist.test] == ["study/IM0"]


def test_segmentations_and_other_masks_are_not_mixed(tmp_path):
    film(tmp_path / "images", "IM0", 0)
    write_segmentation(tmp_path / "masks" / "seg", [(box(0), 1, "1.2.0", None)])
    write_raster(tmp_path / "masks" / "IM0.png", box(0))
    with pytest.raises(InvalidOption, match="DICOM segmentations and other masks"):
        index(tmp_path)


def test_what_has_no_partner_is_listed(tmp_path):
    film(tmp_path / "images", "IM0", 0)
    film(tmp_path / "images", "alone", 5)
    write_segmentation(tmp_path / "masks" / "seg", [(box(0), 1, "1.2.0", None)])
    write_segmentation(tmp_path / "masks" / "stranger", [(box(0), 1, "1.2.55", None)])
    (tmp_path / "masks" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 40)
    _, content = index(tmp_path)
    assert findings(content, "refused") == {
        "alone": "missing_mask",
        "stranger": "mask_without_image",
        "broken.dcm": "unreadable",
    }


def test_classes_are_named_after_the_segments():
    assert classes_of_segments([((1, "Lung, left"), (2, "Heart")), ((1, "left lung"),)]) == ("lung_left", "heart")
    assert classes_of_segments([((0, "Background"), (3, ""))]) == ("segment_3",)
    with pytest.raises(UnknownLabel):
        classes_of_segments([()])


def test_a_single_segment_is_the_single_class():
    coding, others = segments_coding(((4, "Segment_1"),), ("background", "lung"))
    assert (str(coding), others) == ("levels:0=0,4=1", ())


# NIfTI masks of a DICOM series: one file for the volume.


def nifti_of(path, stored, affine):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(stored, affine), path)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)], ids=str)
def test_a_nifti_mask_is_laid_on_its_series_whichever_way_it_is_stored(tmp_path, flips):
    for number in range(4):
        ct_slice(tmp_path / "images" / "ct", number)
    ct_slice(tmp_path / "images" / "ct", 9, ImageOrientationPatient=[1, 0, 0, 0, 0, -1], SeriesInstanceUID="1.2.4")
    display = np.zeros((20, 16, 4), np.uint8)
    for number in (1, 2):
        display[:, :, number] = box(number).T
    # Of the series: x to Left, y to Posterior, z to Superior, in RAS.
    affine = np.diag([-0.4, -0.5, 2.0, 1.0])
    turn = np.diag([*flips, 1.0])
    turn[:3, 3] = [(size - 1) * (flip < 0) for size, flip in zip(display.shape, flips, strict=True)]
    nifti_of(tmp_path / "masks" / "ct.nii.gz", display[:: flips[0], :: flips[1], :: flips[2]], affine @ turn)
    _, content = index(tmp_path)
    read = masks_of(tmp_path, content)
    assert set(read) == {"ct#slice=1", "ct#slice=2"}
    for number in (1, 2):
        np.testing.assert_array_equal(read[f"ct#slice={number}"], box(number).T)
    assert "geometry_differs" not in {entry["code"] for entry in content["warnings"]}
    # The localiser is no slice of the volume, and has no mask.
    assert findings(content, "refused") == {"slice9": "missing_mask"}


def test_a_nifti_mask_with_other_slice_distances_is_told(tmp_path):
    for number in range(4):
        ct_slice(tmp_path / "images" / "ct", number)
    nifti_of(tmp_path / "masks" / "ct.nii.gz", np.ones((20, 16, 4), np.uint8), np.diag([-0.4, -0.5, 3.0, 1.0]))
    _, content = index(tmp_path, labels=LabelOptions(threshold=0))
    assert findings(content, "warnings")["ct.nii.gz"] == "geometry_differs"


def test_png_masks_of_films_are_paired_by_name(tmp_path):
    for number in range(3):
        film(tmp_path / "images", f"IM{number}.dcm", number)
        (tmp_path / "masks").mkdir(exist_ok=True)
        write_raster(tmp_path / "masks" / f"IM{number}.png", box(number).T * 255)
    _, content = index(tmp_path, labels=LabelOptions(threshold=127))
    for number in range(3):
        np.testing.assert_array_equal(masks_of(tmp_path, content)[f"IM{number}.dcm"], box(number).T)
