"""From a datalist to its fingerprint."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InvalidDatalist, MissingFile, OutputExists
from pipeline.fingerprint import Fingerprint
from pipeline.tasks.inspect import fingerprint_of, inspect_set, write_fingerprint


def rewrite(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_pixels_of_the_test_part_are_not_measured(kept_set):
    inspection = inspect_set(kept_set, workers=1)
    found = inspection.fingerprint
    assert found["measured"] == ["training", "validation"]
    assert [case.name for case in inspection.cases] == [f"p{k}.png" for k in range(8)]
    assert found["cases"] == {"training": 6, "validation": 2, "test": 2}
    assert found["subjects"] == {"training": 6, "validation": 2, "test": 2}
    assert found["classes"]["box"]["cases"] == 8
    assert found["classes"]["box"]["area_px"]["max"] == 30 * 37


def test_a_mirrored_copy_across_the_split_is_named_without_folders(kept_set):
    (pair,) = fingerprint_of(kept_set, workers=1)["near_duplicates"]
    assert (pair["a"], pair["b"], pair["parts"]) == ("p1.png", "t1.png", ["training", "test"])
    assert (pair["kind"], pair["how"]) == ("copy", "mirrored left to right")
    assert pair["similarity"] > 0.95


def test_what_index_refused_and_warned_of_is_counted(kept_set):
    found = fingerprint_of(kept_set, workers=1)
    assert found["refused"] == {"unreadable": 1}
    assert found["warnings"] == {"stray_values": 12}


def test_processes_and_place_change_no_byte(phantom_datalist, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.tasks.index.parallel.FILES_WORTH_A_PROCESS", 4)
    one, two = (fingerprint_of(phantom_datalist, workers=workers).to_json() for workers in (1, 2))
    assert one == two
    moved = tmp_path / "elsewhere"
    moved.symlink_to(phantom_datalist.parent)
    assert fingerprint_of(moved / phantom_datalist.name, workers=1).to_json() == one
    assert str(phantom_datalist.parent) not in one


def test_a_damaged_file_is_left_out_and_the_others_go_on(small_set):
    (small_set.parent / "set" / "images" / "p2.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(small_set.parent / "set" / "masks" / "p3.png")
    inspection = inspect_set(small_set, workers=1)
    assert [(finding.file, finding.code) for finding in inspection.failed] == [
        ("p2.png", "unusable"),
        ("p3.png", "unusable"),
    ]
    assert inspection.failed[1].reason.startswith("masks/p3.png: mask 5×5 does not match image 80×100.")
    assert len(inspection.cases) == 6
    assert inspection.fingerprint["refused"] == {"unusable": 2, "unreadable": 1}
    assert inspection.fingerprint["measured_cases"] == 6


def test_a_set_that_is_all_test_is_measured_and_says_so(small_set):
    def all_test(document):
        document["test"] = document.pop("training") + document.pop("validation") + document["test"]

    rewrite(small_set, all_test)
    found = fingerprint_of(small_set, workers=1)
    assert found["measured"] == ["test"]
    assert found["classes"]["box"]["cases"] == 10
    assert (found["near_duplicates_across"], found["near_duplicates_within"]) == (0, 1)


def test_test_items_need_no_label(small_set):
    rewrite(small_set, lambda document: document.update(test=[item["image"] for item in document["test"]]))
    assert fingerprint_of(small_set, workers=1)["near_duplicates_across"] == 1


def test_several_mask_files_and_spacing_are_read(tmp_path):
    import nibabel

    for name, value in (("i", None), ("a", slice(2, 6)), ("b", slice(10, 12))):
        array = (
            np.arange(16 * 20, dtype=np.int16).reshape(16, 20, 1) if value is None else np.zeros((16, 20, 1), np.uint8)
        )
        if value is not None:
            array[value, 3:9] = 1
        nibabel.save(nibabel.Nifti1Image(array, np.diag([0.5, 0.8, 1, 1])), tmp_path / f"{name}.nii")
    item = {"image": "i.nii", "label": ["a.nii", "b.nii"], "label_coding": "threshold:0@1,2"}
    document = {"name": "n", "labels": {"0": "background", "1": "one", "2": "two"}, "training": [item]}
    (tmp_path / "d.json").write_text(json.dumps(document))
    found = fingerprint_of(tmp_path / "d.json", workers=1)
    assert [found["classes"][name]["area_px"]["max"] for name in ("one", "two")] == [24, 12]
    assert (found["spacing_mm"]["x"]["median"], found["spacing_mm"]["y"]["median"]) == (0.5, 0.8)
    assert found["stored"]["dtypes"] == {"int16": 1}


def test_nothing_to_measure_is_refused_in_one_line(small_set, tmp_path):
    with pytest.raises(MissingFile, match="planar index"):
        inspect_set(tmp_path / "none.json")
    for file in (small_set.parent / "set" / "images").iterdir():
        file.write_bytes(b"")
    with pytest.raises(InvalidDatalist, match=r"no case of training or validation can be measured; first p0\.png: "):
        inspect_set(small_set, workers=1)
    rewrite(small_set, lambda document: document.update(labels={}))
    with pytest.raises(InvalidDatalist, match="names no classes"):
        inspect_set(small_set, workers=1)


def test_fingerprint_file_is_read_again_and_not_overwritten(small_set, tmp_path):
    found = fingerprint_of(small_set, workers=1)
    write_fingerprint(found, tmp_path / "f.json")
    assert Fingerprint.from_json((tmp_path / "f.json").read_text()) == found
    with pytest.raises(OutputExists, match="--overwrite"):
        write_fingerprint(found, tmp_path / "f.json")


@pytest.mark.real_data
def test_micro_tomography_is_a_stack_of_tiny_floats(planar_data, tmp_path):
    from pipeline.tasks.index import IndexOptions, LabelOptions, SplitOptions, SubjectOptions, index_set

    folder = planar_data / "tomo_pores"
    table = tmp_path / "blocks.csv"
    table.write_text("file,block\n" + "".join(f"image_v2_{k:02d}.tif,{k // 3}\n" for k in range(15)))
    options = IndexOptions(
        labels=LabelOptions(class_names=("pore",)),
        subjects=SubjectOptions(column=f"{table}:block"),
        split=SplitOptions(folds=2),
        workers=1,
    )
    index_set(folder / "images", [folder / "masks"], tmp_path / "d.json", options)
    found = fingerprint_of(tmp_path / "d.json", workers=1)
    assert found["order"]["stacked"]
    assert {pair["kind"] for pair in found["near_duplicates"]} == {"neighbour"}
    assert 1e-4 < found["intensity"]["all"]["median"] < 3e-4
    assert found["stored"]["dtypes"] == {"float32": found["classes"]["pore"]["cases"]}
