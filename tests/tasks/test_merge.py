"""Several datalists as one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidDatalist, InvalidOption, InvalidSplit, OutputExists
from pipeline.split import Fractions
from pipeline.tasks.merge import MergeResult, merge_datalists

LABELS = ("background", "lung")


def film(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (24, 32), dtype=np.uint8)


def datalist(folder: Path, seeds: dict[str, list[int]], coding: str, labels: tuple[str, ...] = LABELS) -> Path:
    """Films of noise, one subject each, in the given parts."""
    folder.mkdir()
    parts: dict[str, list[dict[str, Any]]] = {}
    for part, numbers in seeds.items():
        for seed in numbers:
            Image.fromarray(film(seed)).save(folder / f"{seed}.png")
            Image.fromarray((film(seed) > 127).astype(np.uint8)).save(folder / f"{seed}_mask.png")
            item = {"image": f"{seed}.png", "label": f"{seed}_mask.png", "label_coding": coding}
            item |= {"subject": f"{seed:016}", "fold": 0, "image_sha256": f"{seed:064}"}
            parts.setdefault(part, []).append(item)
    content = {"name": folder.name, "labels": {str(k): name for k, name in enumerate(labels)}, "modality": {"0": "CT"}}
    path = folder / "datalist.json"
    path.write_text(json.dumps({**content, **parts}))
    return path


def merged(tmp_path: Path, first: Path, second: Path, **options: Any) -> MergeResult:
    return merge_datalists([first, second], tmp_path / "both.json", workers=1, **options)


def test_each_case_keeps_its_coding_its_part_and_its_files(tmp_path: Path) -> None:
    first = datalist(tmp_path / "a", {"training": [1, 2, 3], "test": [4]}, "threshold:0")
    second = datalist(tmp_path / "b", {"training": [5, 6], "validation": [7]}, "index")
    result = merged(tmp_path, first, second, folds=3)
    content = read_datalist(result.path)
    assert [item["image"] for item in content.training] == ["a/1.png", "a/2.png", "a/3.png", "b/5.png", "b/6.png"]
    assert [item["label_coding"] for item in content.training] == ["threshold:0"] * 3 + ["index"] * 2
    assert [item["image"] for item in content.validation + content.test] == ["b/7.png", "a/4.png"]
    assert {item["fold"] for item in content.training + content.validation} == {0, 1, 2}
    assert "fold" not in content.test[0]
    assert (content.name, content.modality) == ("a+b", "CT")
    for part in ("training", "validation", "test"):
        load_cases(result.path, part)


def test_a_split_anew_is_by_subject_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    first = datalist(tmp_path / "a", {"training": list(range(10))}, "index")
    second = datalist(tmp_path / "b", {"test": list(range(10, 20))}, "index")
    options = {"fractions": Fractions(0.5, 0.2, 0.3), "overwrite": True}
    texts = [merged(tmp_path, first, second, **options).path.read_text() for _ in range(2)]
    assert texts[0] == texts[1]
    content = read_datalist(tmp_path / "both.json")
    assert [len(content.part(part)) for part in ("training", "validation", "test")] == [10, 4, 6]


def test_the_same_pixels_in_two_lists_are_taken_once(tmp_path: Path) -> None:
    first = datalist(tmp_path / "a", {"training": list(range(6))}, "index")
    second = datalist(tmp_path / "b", {"training": [5, 6]}, "index")
    result = merged(tmp_path, first, second)
    assert result.left_out == 1
    assert len(result.datalist.training) == 7
    assert [(finding.file, finding.code) for finding in result.datalist.refused] == [("b/5.png", "duplicate_image")]


def test_nearly_equal_pictures_of_two_lists_are_one_subject(tmp_path: Path) -> None:
    first = datalist(tmp_path / "a", {"training": list(range(6))}, "index")
    second = datalist(tmp_path / "b", {"training": [7]}, "index")
    Image.fromarray((film(3).astype(float) * 0.5 + 20).astype(np.uint8)).save(tmp_path / "b" / "7.png")
    result = merged(tmp_path, first, second)
    assert result.joined == 1
    subjects = {item["image"]: item["subject"] for item in result.datalist.training}
    assert subjects["b/7.png"] == subjects["a/3.png"]
    assert len(set(subjects.values())) == 6


def test_pictures_that_a_list_keeps_apart_stay_so(tmp_path: Path) -> None:
    first = datalist(tmp_path / "a", {"training": list(range(6))}, "index")
    Image.fromarray((film(3).astype(float) * 0.5 + 20).astype(np.uint8)).save(tmp_path / "a" / "5.png")
    second = datalist(tmp_path / "b", {"training": [7]}, "index")
    assert merged(tmp_path, first, second).joined == 1
    first.write_text(json.dumps(json.loads(first.read_text()) | {"split": {"near_duplicates": "apart"}}))
    again = merged(tmp_path, first, second, overwrite=True)
    assert again.joined == 0
    assert again.datalist.split["near_duplicates"] == "apart"


def test_pictures_that_share_their_outline_alone_stay_apart_and_are_told(tmp_path: Path) -> None:
    numbers = {"a": [0, 1, 2, 3], "b": [4, 5, 6]}
    lists = [datalist(tmp_path / name, {"training": seeds}, "index") for name, seeds in numbers.items()]
    y, x = np.ogrid[:256, :256]
    disc = np.hypot(x - 128, y - 128) < 110
    for path in lists:
        content = json.loads(path.read_text())
        for item in content["training"]:
            pores = np.random.default_rng(int(item["subject"])).random((64, 64)) < 0.008
            grey = np.where(disc, 160 - 120 * np.kron(pores, np.ones((4, 4))), 20)
            Image.fromarray(grey.astype(np.uint8)).save(path.parent / item["image"])
            item["shape"] = [256, 256]
        path.write_text(json.dumps(content))
    result = merged(tmp_path, *lists)
    assert result.joined == 0
    assert len({item["subject"] for item in result.datalist.training}) == 7
    assert "look alike from afar and were taken for different subjects" in result.alike_from_afar


def test_one_subject_on_two_sides_is_refused_unless_all_is_split_anew(tmp_path: Path) -> None:
    first = datalist(tmp_path / "a", {"training": list(range(6))}, "index")
    second = datalist(tmp_path / "b", {"test": [7]}, "index")
    Image.fromarray(film(3) // 2 + 20).save(tmp_path / "b" / "7.png")
    with pytest.raises(InvalidSplit, match=r"a/3\.png is in 'training' and b/7\.png in 'test'.*--split"):
        merged(tmp_path, first, second)
    assert not (tmp_path / "both.json").exists()
    assert merged(tmp_path, first, second, fractions=Fractions(0.8, 0, 0.2)).joined == 1


def test_what_cannot_be_joined_is_told(tmp_path: Path) -> None:
    first = datalist(tmp_path / "a", {"training": list(range(6))}, "index")
    other = datalist(tmp_path / "b", {"training": [9]}, "index", ("background", "heart"))
    with pytest.raises(InvalidDatalist, match=r"has the classes background, heart, .* has background, lung"):
        merged(tmp_path, first, other)
    with pytest.raises(InvalidOption, match="two datalists or more"):
        merge_datalists([first], tmp_path / "both.json")
    with pytest.raises(OutputExists):
        merge_datalists([first, first], first)
    (tmp_path / "a" / "2.png").unlink()
    with pytest.raises(InvalidDatalist, match=r"2\.png is not there"):
        merged(tmp_path, first, datalist(tmp_path / "c", {"training": [8]}, "index"))
