"""Images with several masks in one folder: merged on request, else refused, never half taken."""

import numpy as np
import pytest
from PIL import Image

from pipeline.datalist import load_cases
from pipeline.errors import InvalidDatalist, InvalidOption
from pipeline.readers import read_mask
from pipeline.tasks.index import IndexOptions, LabelOptions, SplitOptions, index_set
from pipeline.tasks.index.pairing import pair_files
from pipeline.tasks.index.sources import Source

MERGED = LabelOptions(merge=True, class_names=("lesion",))


def source(folder: str, *names: str) -> Source:
    return Source(folder, folder, [f"{folder}/{name}" for name in names])


def names(pairing) -> dict[str, tuple[str | None, ...]]:
    return {pair.image: pair.masks for pair in pairing.pairs}


def codes(pairing) -> dict[str, str]:
    return {finding.file: finding.code for finding in pairing.refused}


def index_folder(folder, labels=MERGED):
    options = IndexOptions(split=SplitOptions(folds=1), labels=labels, workers=1)
    return index_set(folder, [folder], folder / "datalist.json", options)


def draw(path, *, box=None, seed=0):
    """A picture of noise, or a mask with a box of 16 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if box is None:
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24)).astype(np.uint8)
    else:
        pixels = np.zeros((20, 24), np.uint8)
        pixels[box : box + 4, box : box + 4] = 255
    Image.fromarray(pixels).save(path)


BUSI = ("benign (1).png", "benign (1)_mask.png", "benign (1)_mask_1.png", "benign (2).png", "benign (2)_mask.png")


def test_a_case_with_a_second_mask_is_refused_and_the_others_go_on():
    both = source("d", *BUSI)
    pairing = pair_files(both, [both])
    assert names(pairing) == {"d/benign (2).png": ("d/benign (2)_mask.png",)}
    assert codes(pairing) == {"d/benign (1).png": "several_masks"}
    assert "benign (1)_mask.png, benign (1)_mask_1.png). --merge" in pairing.refused[0].reason


def test_a_case_with_a_second_mask_is_merged_on_request():
    both = source("d", *BUSI)
    pairing = pair_files(both, [both], merge=True)
    assert names(pairing)["d/benign (1).png"] == ("d/benign (1)_mask.png", "d/benign (1)_mask_1.png")
    assert not pairing.refused


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("image_1.png", "mask_1.png"),
        ("1.png", "mask_1.png"),
        ("1.png", "1_mask.png"),
        ("case_12.png", "case_mask_12.png"),
        ("case12.png", "case_mask12.png"),
        ("1_seg_2.png", "1_seg_2_mask.png"),
    ],
)
@pytest.mark.parametrize("one_folder", [False, True])
def test_a_number_of_the_case_is_no_number_of_a_mask(image, mask, one_folder):
    first = ("case.png", "case_mask.png")
    if one_folder:
        both = source("d", image, mask, *first)
        assert names(pair_files(both, [both])) == {f"d/{image}": (f"d/{mask}",), "d/case.png": ("d/case_mask.png",)}
    else:
        pairing = pair_files(source("i", image, first[0]), [source("m", mask, first[1])])
        assert names(pairing) == {f"i/{image}": (f"m/{mask}",), "i/case.png": ("m/case_mask.png",)}


def test_masks_that_are_all_numbered_are_masks_of_their_image():
    images, masks = source("i", "a.png", "b.png"), source("m", "a_mask1.png", "a_mask2.png", "b_mask1.png")
    assert names(pair_files(images, [masks], merge=True)) == {
        "i/a.png": ("m/a_mask1.png", "m/a_mask2.png"),
        "i/b.png": ("m/b_mask1.png",),
    }


def test_merging_knows_the_folder_of_each_mask():
    images = source("i", "a.png", "b.png")
    masks = [source("l", "a_mask.png", "a_mask_1.png", "b.png"), source("r", "a.png", "b.png")]
    found = pair_files(images, masks, merge=True).pairs[0]
    assert found.masks == ("l/a_mask.png", "l/a_mask_1.png", "r/a.png")
    assert found.folder_of_masks == (0, 0, 1)
    assert "Join them in one file" in pair_files(images, masks).refused[0].reason


def test_further_masks_are_part_of_the_class(tmp_path):
    for k in range(4):
        draw(tmp_path / f"benign ({k}).png", seed=k)
        draw(tmp_path / f"benign ({k})_mask.png", box=2)
    draw(tmp_path / "benign (3)_mask_1.png", box=10)
    result = index_folder(tmp_path)
    assert result.datalist.labels == ["background", "lesion"] and not result.datalist.refused
    assert result.class_pixels[1] == 4 * 16 + 16
    alone = index_folder_again(tmp_path, LabelOptions())
    assert [(f.file, f.code) for f in alone.datalist.refused] == [("benign (3).png", "several_masks")]


def index_folder_again(folder, labels):
    (folder / "datalist.json").unlink()
    return index_folder(folder, labels)


def nuclei(folder, number=4):
    """The layout of the Data Science Bowl 2018: a file for each nucleus."""
    for k in range(number):
        draw(folder / f"{k}aa" / "images" / f"{k}aa.png", seed=k)
        for j in range(k + 1):
            draw(folder / f"{k}aa" / "masks" / f"{j}bb{k}.png", box=4 * j)


def test_a_file_for_each_nucleus_is_one_class(tmp_path):
    nuclei(tmp_path)
    result = index_folder(tmp_path)
    assert result.class_pixels[1] == 16 * (1 + 2 + 3 + 4)
    for part in ("training", "validation", "test"):
        for item in load_cases(tmp_path / "datalist.json", part) if result.datalist.part(part) else ():
            files = item["label"] if isinstance(item["label"], list) else [item["label"]]
            assert read_mask(item["label"], item["label_coding"], 2).sum() == 16 * len(files)


def test_a_set_of_several_masks_each_says_what_to_give(tmp_path):
    for k in range(4):
        draw(tmp_path / f"{k}.png", seed=k)
        for j in range(2):
            draw(tmp_path / f"{k}_mask_{j}.png", box=4 * j)
    with pytest.raises(InvalidDatalist, match=r"4 several_masks; e\.g\. .*it has 2 masks \(0_mask_0\.png, .*--merge"):
        index_folder(tmp_path, LabelOptions())


def test_merge_where_nothing_is_to_be_merged_is_refused(small_set):
    small_set.cases(4)
    with pytest.raises(InvalidOption, match="images with several masks"):
        index_set(small_set.images, [small_set.masks], small_set.output, IndexOptions(labels=MERGED, workers=1))


def test_a_mask_with_a_word_and_one_without_are_two_masks_of_an_image():
    images, masks = source("i", "a.png", "b.png"), source("m", "a.png", "a_mask.png", "b.png")
    pairing = pair_files(images, [masks])
    assert set(names(pairing)) == {"i/b.png"}
    assert set(names(pair_files(images, [masks], merge=True))["i/a.png"]) == {"m/a.png", "m/a_mask.png"}


def test_a_numbered_mask_beside_unmarked_ones_does_not_stand_alone():
    images, masks = source("i", "a.png", "b.png"), source("m", "a_mask.png", "a_mask_1.png", "b.png")
    pairing = pair_files(images, [masks])
    assert set(names(pairing)) == {"i/b.png"}
    assert codes(pairing) == {"i/a.png": "several_masks"}


def test_a_number_that_touches_the_number_of_the_image_is_the_masks_own():
    """ "img1_mask1" is no mask of "img11", and "c1_seg2" none of "c12", which has none."""
    images = source("i", *(f"img{k}.png" for k in range(1, 21)))
    masks = source("m", *(f"img{k}_mask{j}.png" for k in range(1, 21) for j in (1, 2)))
    assert set(codes(pair_files(images, [masks])).values()) == {"several_masks"}
    assert names(pair_files(images, [masks], merge=True)) == {
        f"i/img{k}.png": (f"m/img{k}_mask1.png", f"m/img{k}_mask2.png") for k in range(1, 21)
    }
    both = source("d", "c1.png", "c12.png", "e.png", "c1_seg.png", "c1_seg2.png", "e_seg.png")
    pairing = pair_files(both, [both])
    assert names(pairing) == {"d/e.png": ("d/e_seg.png",)}
    assert codes(pairing) == {"d/c1.png": "several_masks", "d/c12.png": "missing_mask"}


@pytest.mark.parametrize(
    ("files", "pairs"),
    [
        # Other masks say it: "e_1" is no image, so numbers are masks'; or "e" is none, so they are cases'.
        (("p_1", "p_1_1", "e", "p_1_mask_1", "e_mask_1"), {"p_1": ("p_1_mask_1",), "e": ("e_mask_1",)}),
        (("p_1", "p_1_1", "e_1", "p_1_mask_1", "e_mask_1"), {"p_1_1": ("p_1_mask_1",), "e_1": ("e_mask_1",)}),
        # A case with a mask of its own name has no other that is named otherwise.
        (("b", "b_1", "b_mask", "b_mask_1", "b_1_mask"), {"b": ("b_mask", "b_mask_1"), "b_1": ("b_1_mask",)}),
        (("a_2", "e", "a_2_mask", "a_mask_2", "e_mask"), {"a_2": ("a_2_mask",), "e": ("e_mask",)}),
    ],
)
def test_what_a_number_means_holds_for_all_masks(files, pairs):
    both = source("d", *(f"{name}.png" for name in files))
    found = names(pair_files(both, [both], merge=True))
    assert found == {f"d/{image}.png": tuple(f"d/{mask}.png" for mask in masks) for image, masks in pairs.items()}


def test_a_number_that_may_be_the_images_or_the_masks_is_ambiguous():
    images = source("i", "p_1.png", "p_1_1.png", "e.png")
    pairing = pair_files(images, [source("m", "p_1_mask_1.png", "e_mask.png")], merge=True)
    assert names(pairing) == {"i/e.png": ("m/e_mask.png",)}
    assert codes(pairing) == {
        "m/p_1_mask_1.png": "ambiguous_name",
        "i/p_1.png": "missing_mask",
        "i/p_1_1.png": "missing_mask",
    }


def test_masks_of_a_case_that_may_lack_a_part_are_ambiguous_too():
    """Of those that are sure some say that numbers are cases', some that they are masks'."""
    sure = ("e", "e_mask_1", "f_1", "f_mask_1")
    both = source("d", *(f"{name}.png" for name in ("p", "p_1", "p_mask", "p_mask_1", *sure)))
    pairing = pair_files(both, [both], merge=True)
    assert names(pairing) == {"d/e.png": ("d/e_mask_1.png",), "d/f_1.png": ("d/f_mask_1.png",)}
    assert {file for file, code in codes(pairing).items() if code == "ambiguous_name"} == {
        "d/p_mask.png",
        "d/p_mask_1.png",
    }
