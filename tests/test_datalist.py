"""datalist.json: written whole or not at all, read by MONAI and by us, refused with a clear line."""

import json

import numpy as np
import pytest

from pipeline.datalist import Datalist, Finding, load_cases, pixel_digest, read_datalist, relative_to, write_datalist
from pipeline.errors import InvalidDatalist, MissingFile, OutputExists


@pytest.fixture
def folder(tmp_path):
    """A set of two pictures and a volume beside the folder of its datalist."""
    (tmp_path / "set").mkdir()
    for name in ("a.png", "a_mask.png", "b.png", "b_mask.png", "ct.nii.gz", "ct_mask.nii.gz"):
        (tmp_path / "set" / name).write_bytes(b"x")
    (tmp_path / "lists").mkdir()
    return tmp_path


@pytest.fixture
def datalist():
    def item(image, label, **more):
        return {"image": f"../set/{image}", "label": label, "label_coding": "index", "spacing_mm": None, **more}

    return Datalist(
        name="two",
        labels=["background", "lung"],
        modality="CR",
        training=[item("a.png", "../set/a_mask.png", fold=0, shape=[4, 5])],
        validation=[item("b.png", ["../set/b_mask.png", "../set/a_mask.png"], fold=1)],
        test=[item("ct.nii.gz#slice=3", "../set/ct_mask.nii.gz#slice=3")],
        refused=[Finding("../set/c.png", "missing_mask", "no mask in masks")],
    )


def test_what_was_written_is_read_back(folder, datalist):
    write_datalist(datalist, folder / "lists" / "d.json")
    assert read_datalist(folder / "lists" / "d.json") == datalist


def test_document_is_the_decathlon_layout(folder, datalist):
    write_datalist(datalist, folder / "d.json")
    document = json.loads((folder / "d.json").read_text())
    assert document["labels"] == {"0": "background", "1": "lung"}
    assert document["modality"] == {"0": "CR"}
    assert (document["numTraining"], document["numTest"]) == (1, 1)
    assert document["format"] == "planar-datalist/1"


@pytest.mark.filterwarnings("ignore")  # of importing MONAI, not ours
def test_monai_reads_it_with_the_same_paths(folder, datalist):
    from monai.data import load_decathlon_datalist

    path = folder / "lists" / "d.json"
    write_datalist(datalist, path)
    for part in ("training", "validation", "test"):
        theirs, ours = load_decathlon_datalist(str(path), data_list_key=part), load_cases(path, part)
        assert theirs == ours


def test_cases_have_absolute_paths_and_keep_the_slice(folder, datalist):
    write_datalist(datalist, folder / "lists" / "d.json")
    (case,) = load_cases(folder / "lists" / "d.json", "test")
    assert case["image"] == str(folder / "set" / "ct.nii.gz#slice=3")
    (several,) = load_cases(folder / "lists" / "d.json", "validation")
    assert several["label"] == [str(folder / "set" / "b_mask.png"), str(folder / "set" / "a_mask.png")]


def test_datalist_reached_through_a_link_finds_its_images(folder, datalist):
    write_datalist(datalist, folder / "lists" / "d.json")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "link").symlink_to(folder / "lists")
    assert load_cases(folder / "deep" / "er" / "link" / "d.json")[0]["image"] == str(folder / "set" / "a.png")


def test_existing_file_is_kept_unless_told_otherwise(folder, datalist):
    (folder / "d.json").write_text("mine")
    with pytest.raises(OutputExists, match="--overwrite"):
        write_datalist(datalist, folder / "d.json")
    assert (folder / "d.json").read_text() == "mine"
    write_datalist(datalist, folder / "d.json", overwrite=True)
    assert read_datalist(folder / "d.json") == datalist


def test_failed_write_leaves_nothing_behind(folder, datalist):
    datalist.test.append({"image": object()})
    with pytest.raises(TypeError):
        write_datalist(datalist, folder / "lists" / "d.json")
    assert list((folder / "lists").iterdir()) == []


def test_missing_datalist_says_how_to_make_one(tmp_path):
    with pytest.raises(MissingFile, match="planar index"):
        load_cases(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{not json", "not valid JSON"),
        ("[1, 2]", "is no datalist"),
        ('{"images": []}', "is no datalist"),
        ('{"training": [{"label": "a"}]}', "item without an image"),
        ('{"training": [3]}', "item without an image"),
        ('{"training": [], "labels": [1]}', "layout of a datalist"),
        ('{"training": [], "format": "planar-datalist/9"}', "planar-datalist/9"),
    ],
)
def test_unusable_datalist_is_refused_with_its_name(tmp_path, text, said):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(InvalidDatalist, match=said) as caught:
        load_cases(tmp_path / "d.json")
    assert "d.json" in str(caught.value)


def test_folder_instead_of_a_datalist_is_refused(tmp_path):
    with pytest.raises(InvalidDatalist, match="is a folder"):
        load_cases(tmp_path)


def test_empty_and_unknown_parts_are_refused(folder, datalist):
    datalist.test.clear()
    write_datalist(datalist, folder / "d.json")
    with pytest.raises(InvalidDatalist, match="no cases in 'test'"):
        load_cases(folder / "d.json", "test")
    with pytest.raises(InvalidDatalist, match="no part 'training2'"):
        load_cases(folder / "d.json", "training2")


def test_gone_files_are_counted_and_the_first_is_named(folder, datalist):
    write_datalist(datalist, folder / "lists" / "d.json")
    (folder / "set" / "b_mask.png").unlink()
    (folder / "set" / "b.png").unlink()
    with pytest.raises(InvalidDatalist, match=r"2 files in 'validation'.*b\.png"):
        load_cases(folder / "lists" / "d.json", "validation")


def test_case_without_label_is_refused_unless_labels_are_not_needed(folder):
    (folder / "d.json").write_text('{"test": ["set/a.png"]}')
    with pytest.raises(InvalidDatalist, match="no label"):
        load_cases(folder / "d.json", "test")
    assert load_cases(folder / "d.json", "test", labelled=False) == [{"image": str(folder / "set" / "a.png")}]


def test_relative_path_keeps_slice_and_climbs(folder):
    assert relative_to(folder / "lists", str(folder / "set" / "ct.nii.gz#slice=2")) == "../set/ct.nii.gz#slice=2"


def test_digest_depends_on_pixels_dtype_and_shape_alone():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    same = [array.copy(order="F"), array.astype(">i2"), np.repeat(array, 2, 0)[::2]]
    assert {pixel_digest(other) for other in same} == {pixel_digest(array)}
    different = [array.T, array.astype(np.uint16), array.reshape(3, 2), array + 1, array[None]]
    assert len({pixel_digest(other) for other in [array, *different]}) == 6


def test_digest_of_several_masks_depends_on_their_order():
    first, second = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    assert pixel_digest(first, second) != pixel_digest(second, first)
