"""Layouts of public sets pair by themselves; where none does, the reason and a pattern that works are told."""

import re
import shlex
import unicodedata

import pytest

from pipeline.errors import InvalidOption
from pipeline.tasks.index.pairing import pair_files
from pipeline.tasks.index.sources import Source

NUMBERS = range(1, 5)


def source(folder: str, *names: str) -> Source:
    return Source(folder, folder, [f"{folder}/{name}" for name in names])


def names(pairing) -> dict[str, tuple[str | None, ...]]:
    return {pair.image: pair.masks for pair in pairing.pairs}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("case_{}/imaging.nii.gz", "case_{}/segmentation.nii.gz"),  # KiTS
        ("train_{}.bmp", "train_{}_anno.bmp"),  # GlaS
        ("P{}/images/1.png", "P{}/masks/1.png"),
        ("images/{}_training.tif", "1st_manual/{}_manual1.gif"),  # DRIVE
        ("imagesTr/a_{}_0000.nii.gz", "labelsTr/a_{}.nii.gz"),  # nnU-Net
        ("training_images/{}.png", "training_groundtruth/{}.png"),
        ("P{}/ct.nii.gz", "P{}/label.nii.gz"),
        ("segmentation/images/{}.png", "segmentation/masks/{}.png"),
        ("segmentation/ct/{}.png", "segmentation/ct/{}_mask.png"),
        ("images/seg_{}.png", "masks/seg_{}.png"),
        ("ct/seg_{}.png", "masks/seg_{}.png"),
    ],
)
def test_one_folder_of_images_and_masks_pairs_by_words(image, mask):
    both = source("d", *(name.format(k) for k in NUMBERS for name in (image, mask)))
    pairing = pair_files(both, [both])
    assert names(pairing) == {f"d/{image.format(k)}": (f"d/{mask.format(k)}",) for k in NUMBERS}
    assert not pairing.refused and not pairing.warnings


def test_two_folders_of_drive_pair_by_their_numbers():
    images = source("images", *(f"{k}_training.tif" for k in NUMBERS))
    masks = source("1st_manual", *(f"{k}_manual1.gif" for k in NUMBERS))
    assert len(pair_files(images, [masks]).pairs) == 4


def test_the_one_folder_may_be_named_in_two_ways(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = source("d", "a.png", "a_mask.png", "b.png", "b_mask.png")
    again = Source("d", f"{tmp_path}/d", [f"{tmp_path}/{file}" for file in there.files])
    assert names(pair_files(there, [again])) == {f"d/{k}.png": (f"{tmp_path}/d/{k}_mask.png",) for k in "ab"}


def test_spellings_of_one_unicode_name_are_one():
    folders = [
        source(folder, *(unicodedata.normalize(form, f"Lösion{k}.png") for k in NUMBERS))
        for folder, form in (("i", "NFC"), ("m", "NFD"))
    ]
    assert len(pair_files(folders[0], folders[1:]).pairs) == 4
    pattern = unicodedata.normalize("NFD", r"ö\w+(\d)")
    assert len(pair_files(folders[0], folders[1:], image_pattern=pattern, mask_pattern=pattern).pairs) == 4


def test_a_mask_is_never_that_of_another_patient():
    names_of = [f"P{k}/{kind}/1.png" for k in NUMBERS for kind in ("images", "masks")]
    names_of.remove("P2/masks/1.png")
    names_of.remove("P3/images/1.png")
    pairing = pair_files(source("d", *names_of), [source("d", *names_of)])
    assert set(names(pairing)) == {"d/P1/images/1.png", "d/P4/images/1.png"}
    assert {f.file: f.code for f in pairing.refused} == {
        "d/P2/images/1.png": "missing_mask",
        "d/P3/masks/1.png": "mask_without_image",
    }


@pytest.mark.parametrize("pattern", [r"(\d+)", r"P(\d+)/"])
def test_one_pattern_for_one_folder_leaves_masks_out_of_the_images(pattern):
    both = source("d", *(f"P{k}/{name}.png" for k in NUMBERS for name in ("scan", "the_mask")))
    pairing = pair_files(both, [both], image_pattern=pattern, mask_pattern=pattern)
    assert names(pairing) == {f"d/P{k}/scan.png": (f"d/P{k}/the_mask.png",) for k in NUMBERS}
    assert not pairing.refused and not pairing.warnings


def test_a_pattern_for_masks_alone_says_which_files_are_masks():
    both = source("d", *(f"{k}{end}.png" for k in NUMBERS for end in ("", "_x")))
    assert len(pair_files(both, [both], mask_pattern="(.*)_x").pairs) == 4


def test_masks_of_two_kinds_in_one_folder_are_not_chosen_from():
    """DRIVE: the field of view is called as the images are, the vessels are not."""
    drive = ("images/{}_training.tif", "1st_manual/{}_manual1.gif", "mask/{}_training_mask.gif")
    both = source("d", *(name.format(k) for k in NUMBERS for name in drive))
    with pytest.raises(InvalidOption, match=r"masks of two kinds.*planar index d/images d/1st_manual"):
        pair_files(both, [both])
    spaced = source("my set", *(name.format(k) for k in NUMBERS for name in drive))
    assert "planar index 'my set/images' 'my set/1st_manual'" in told(spaced, spaced)


def test_masks_of_two_kinds_whose_folders_say_nothing_are_not_chosen_from():
    kinds = ("pictures/{}_training.tif", "vessels/{}_manual1.gif", "field/{}_training_mask.gif")
    both = source("d", *(name.format(k) for k in NUMBERS for name in kinds))
    with pytest.raises(InvalidOption, match="masks of two kinds"):
        pair_files(both, [both])


@pytest.mark.parametrize("lone", ["test/masks/x{}.png", "test/masks/{}.png", "P2/masks/{}.png"])
def test_a_folder_of_masks_without_images_is_listed_and_the_others_go_on(lone):
    both = source("d", *(name.format(k) for k in NUMBERS for name in ("images/{}.png", "masks/{}.png", lone)))
    pairing = pair_files(both, [both])
    assert names(pairing) == {f"d/images/{k}.png": (f"d/masks/{k}.png",) for k in NUMBERS}
    assert {f.file: f.code for f in pairing.refused} == {f"d/{lone.format(k)}": "mask_without_image" for k in NUMBERS}


@pytest.mark.parametrize("pattern", [None, r"(\d+)"])
def test_two_globs_of_one_folder_have_told_images_and_masks_apart(pattern):
    images, masks = (source("d", f"label_7.{end}", *(f"{k}.{end}" for k in NUMBERS)) for end in ("jpg", "png"))
    pairing = pair_files(images, [masks], image_pattern=pattern, mask_pattern=pattern)
    assert names(pairing) == {file: (file.replace("jpg", "png"),) for file in images.files}


def test_a_file_given_as_image_alone_is_listed_whatever_its_name():
    both = source("d", "label_7.jpg", *(f"{k}{end}" for k in NUMBERS for end in (".jpg", "_mask.png")))
    masks = Source("d/*.png", "d", [file for file in both.files if file.endswith("png")])
    pairing = pair_files(both, [masks])
    assert len(pairing.pairs) == 4
    assert {finding.file: finding.code for finding in pairing.refused} == {"d/label_7.jpg": "missing_mask"}


def test_a_pattern_pairs_two_globs_whose_names_all_say_mask():
    images, masks = (source("d", *(f"seg_{k}_{end}.png" for k in NUMBERS)) for end in ("ct", "lab"))
    pairing = pair_files(images, [masks], image_pattern=r"seg_(\d+)", mask_pattern=r"seg_(\d+)")
    assert names(pairing) == {f"d/seg_{k}_ct.png": (f"d/seg_{k}_lab.png",) for k in NUMBERS}


@pytest.mark.parametrize("pattern", [None, r"seg_(\d+)"])
def test_one_folder_whose_names_all_say_mask_is_told_and_gets_patterns_that_work(pattern):
    both = source("d", *(f"seg_{k}_{end}.png" for k in NUMBERS for end in ("ct", "lab")))
    with pytest.raises(InvalidOption) as error:
        pair_files(both, [both], image_pattern=pattern, mask_pattern=pattern)
    message = str(error.value)
    assert "all 8 files of d, such as seg_1_ct.png, have a word for masks" in message
    assert "two folders or globs" in message and "nothing" not in message
    assert names(pair_files(both, [both], **patterns_in(message))) == {
        f"d/seg_{k}_ct.png": (f"d/seg_{k}_lab.png",) for k in NUMBERS
    }


def test_a_folder_that_holds_masks_alone_is_told():
    assert "all files of d are among the masks" in told(
        source("d", "m/1.png", "m/2.png"), source("d/m", "1.png", "2.png")
    )


def told(images: Source, masks: Source) -> str:
    with pytest.raises(InvalidOption) as error:
        pair_files(images, [masks])
    return str(error.value)


def patterns_in(message: str) -> dict[str, str]:
    """The options that a message offers, as a shell reads them."""
    words = shlex.split(re.search(r"e\.g\. (.+), which pairs", message)[1])
    given = dict(zip(words[::2], words[1::2], strict=True))
    one = given.get("--pattern")
    return {"image_pattern": one or given["--image-pattern"], "mask_pattern": one or given["--mask-pattern"]}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("P{}/ct.png", "P{}/lung.png"),
        ("{}_a.png", "{}_b.png"),
        ("{}.jpg", "{}.png"),
    ],
)
def test_one_folder_without_words_for_masks_gets_patterns_that_work(image, mask):
    both = source("d", *(name.format(k) for k in NUMBERS for name in (image, mask)))
    message = told(both, both)
    assert "none of the 8 files of d" in message and "word for masks" in message
    assert names(pair_files(both, [both], **patterns_in(message))) == {
        f"d/{image.format(k)}": (f"d/{mask.format(k)}",) for k in NUMBERS
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [("scan{}x.png", "roi-{}.png"), ("P{}/1.png", "of_P{}/roi7.png"), ("day3/P{}.png", "P{}_roi7.png")],
)
def test_two_folders_whose_names_never_agree_get_patterns_that_work(image, mask):
    images, masks = (source(d, *(name.format(k) for k in NUMBERS)) for d, name in (("i", image), ("m", mask)))
    found = pair_files(images, [masks], **patterns_in(told(images, masks)))
    assert names(found) == {f"i/{image.format(k)}": (f"m/{mask.format(k)}",) for k in NUMBERS}


def test_images_that_share_a_name_are_the_reason():
    images, masks = source("i", *(f"P{k}/1.png" for k in NUMBERS)), source("m", "a.png", "b.png")
    assert "4 images share the name '1'" in told(images, masks)


def test_images_that_a_pattern_makes_one_are_the_reason():
    images, masks = source("i", *(f"P{k}.png" for k in NUMBERS)), source("m", *(f"P{k}.png" for k in NUMBERS))
    with pytest.raises(InvalidOption, match=r"4 images share the name 'P'.*--pattern"):
        pair_files(images, [masks], image_pattern="(P)", mask_pattern="(P)")
