"""Which mask belongs to which image."""

import pytest

from pipeline.errors import InvalidOption
from pipeline.tasks.index.pairing import pair_files
from pipeline.tasks.index.sources import Source


def source(folder: str, *names: str) -> Source:
    return Source(folder, folder, [f"{folder}/{name}" for name in names])


def names(pairing) -> dict[str, tuple[str | None, ...]]:
    return {pair.image: pair.masks for pair in pairing.pairs}


def codes(pairing) -> dict[str, str]:
    return {finding.file: finding.code for finding in pairing.refused}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.png", "a.png"),
        ("a.jpg", "a.nii.gz"),
        ("CHNCXR_0001_0.png", "CHNCXR_0001_0_mask.png"),
        ("a.b.c-day5.jpeg", "a.b.c-day5.png"),
        ("a.png", "a-Seg.tif"),
        ("a.png", "mask_a.png"),
        ("a.png", "a_label.nii.gz"),
        ("case1_0000.nii.gz", "case1.nii.gz"),
        ("image_7.tif", "mask_7.png"),
        ("p1/scan.png", "p1/scan.png"),
        ("p1/scan.png", "scan_segmentation.png"),
        ("CT.1.2.840.3", "CT.1.2.840.3.png"),
    ],
)
def test_usual_names_pair(image, mask):
    other = ("z9.png", "z9.png")
    pairing = pair_files(source("i", image, other[0]), [source("m", mask, other[1])])
    assert names(pairing)[f"i/{image}"] == (f"m/{mask}",)


def test_same_names_in_two_folders_pair_by_folder():
    pairing = pair_files(source("i", "p1/1.png", "p2/1.png"), [source("m", "p2/1.png", "p1/1.png")])
    assert names(pairing) == {"i/p1/1.png": ("m/p1/1.png",), "i/p2/1.png": ("m/p2/1.png",)}


def test_images_and_masks_may_lie_in_one_folder():
    both = source("d", "a.png", "a_mask.png", "b.png", "b_mask.png")
    assert names(pair_files(both, [both])) == {"d/a.png": ("d/a_mask.png",), "d/b.png": ("d/b_mask.png",)}


@pytest.mark.parametrize("pattern", [None, r"(\w+)\.png"])
def test_a_folder_of_masks_may_lie_in_the_folder_of_images(pattern):
    images, masks = source("d", "a.png", "b.png", "masks/a.png", "masks/b.png"), source("d/masks", "a.png", "b.png")
    pairing = pair_files(images, [masks], image_pattern=pattern, mask_pattern=pattern)
    assert names(pairing) == {"d/a.png": ("d/masks/a.png",), "d/b.png": ("d/masks/b.png",)}
    assert not pairing.refused


def test_a_folder_of_images_may_lie_in_the_folder_of_masks():
    images, masks = source("d/images", "a.png"), source("d", "a.png", "images/a.png", "b.png")
    assert names(pair_files(images, [masks])) == {"d/images/a.png": ("d/a.png",)}


def test_lone_files_are_refused_and_the_others_go_on():
    pairing = pair_files(source("i", "a.png", "b.png"), [source("m", "a.png", "c.png")])
    assert list(names(pairing)) == ["i/a.png"]
    assert codes(pairing) == {"i/b.png": "missing_mask", "m/c.png": "mask_without_image"}


def test_two_masks_of_one_image_are_ambiguous():
    images, masks = (
        source("i", "a.png", "b.png", "c.png"),
        source("m", "a_mask.png", "a_seg.png", "b_mask.png", "c_seg.png"),
    )
    pairing = pair_files(images, [masks])
    assert list(names(pairing)) == ["i/b.png", "i/c.png"]
    assert codes(pairing) == {
        "m/a_mask.png": "ambiguous_name",
        "m/a_seg.png": "ambiguous_name",
        "i/a.png": "missing_mask",
    }


def test_case_missing_in_one_of_two_folders_is_refused_or_kept_on_request():
    images, masks = source("i", "a.png", "b.png"), [source("l", "a.png", "b.png"), source("r", "a.png")]
    strict = pair_files(images, masks)
    assert codes(strict) == {"i/b.png": "missing_mask"}
    assert "--allow-missing-masks" in strict.refused[0].reason
    assert names(pair_files(images, masks, allow_missing=True))["i/b.png"] == ("l/b.png", None)


def test_case_missing_in_all_folders_is_refused_even_on_request():
    images, masks = source("i", "a.png", "b.png"), [source("l", "a.png"), source("r", "a.png")]
    assert codes(pair_files(images, masks, allow_missing=True)) == {"i/b.png": "missing_mask"}


def test_one_image_and_one_mask_pair_whatever_their_names():
    assert names(pair_files(source("i", "ct.nii.gz"), [source("m", "lungs.nii.gz")])) == {
        "i/ct.nii.gz": ("m/lungs.nii.gz",)
    }


def test_the_same_file_as_image_and_mask_is_refused():
    with pytest.raises(InvalidOption, match="as image and as mask"):
        pair_files(source("i", "a.png"), [source("i", "a.png")])


def test_pattern_groups_must_agree():
    images, masks = source("i", "21_training.tif", "22_training.tif"), source("m", "22_manual1.gif", "21_manual1.gif")
    pairing = pair_files(images, [masks], image_pattern=r"^(\d+)_", mask_pattern=r"^(\d+)_")
    assert names(pairing) == {"i/21_training.tif": ("m/21_manual1.gif",), "i/22_training.tif": ("m/22_manual1.gif",)}


def test_patterns_may_take_images_and_masks_from_one_folder_and_say_what_they_left():
    both = source("d", "p1/img.png", "p1/lung.png", "p1/notes.png")
    pairing = pair_files(both, [both], image_pattern="(.*)/img", mask_pattern="(.*)/lung")
    assert names(pairing) == {"d/p1/img.png": ("d/p1/lung.png",)}
    assert {f.file for f in pairing.warnings if f.code == "not_matched"} >= {"d/p1/notes.png"}


@pytest.mark.parametrize(("pattern", "said"), [(r"\d+", "no group"), ("(", "no regular expression")])
def test_useless_pattern_is_refused(pattern, said):
    with pytest.raises(InvalidOption, match=said):
        pair_files(source("i", "1.png", "2.png"), [source("m", "1.png")], image_pattern=pattern, mask_pattern=pattern)


def test_names_that_never_agree_raise_with_examples():
    with pytest.raises(InvalidOption, match=r"a1\.png.*x9\.png.*--pattern"):
        pair_files(source("i", "a1.png", "a2.png"), [source("m", "x9.png")])
