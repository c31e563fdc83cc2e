"""One datalist as folds: who trains and validates where."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.datalist import subject_of
from pipeline.errors import InvalidDatalist, InvalidSplit
from pipeline.tasks.folds.dividing import divide
from pipeline.tasks.resuming import data_digest


def item(number: int, subject: str | None = None, fold: int | None = None, image: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"image": image or f"films/{number}.png", "label": f"films/{number}_mask.png"}
    made |= {"image_sha256": f"{number:064}", "label_sha256": f"{number + 1000:064}"}
    return made | ({"subject": subject} if subject else {}) | ({"fold": fold} if fold is not None else {})


def datalist(folder: Path, **parts: list[dict[str, Any]]) -> Path:
    (folder / "films").mkdir(parents=True, exist_ok=True)
    for entry in (entry for part in parts.values() for entry in part):
        for key in ("image", "label"):
            (folder / entry[key].partition("#")[0]).touch()
    content = {"name": "films", "labels": {"0": "background", "1": "lung"}, "split": {"seed": 3}, **parts}
    path = folder / "datalist.json"
    path.write_text(json.dumps(content))
    return path


def ten_subjects() -> dict[str, list[dict[str, Any]]]:
    """Twelve films, of which two subjects have two each, and a test film."""
    films = [item(n, f"s{n % 10}") for n in range(12)]
    return {"training": films[:9], "validation": films[9:], "test": [item(90, "t0")]}


def test_each_case_validates_once_and_no_subject_is_trained_on_where_it_validates(tmp_path: Path) -> None:
    divided = divide(datalist(tmp_path, **ten_subjects()), 5, tmp_path)
    validated = [entry["image"] for fold in divided.folds for entry in fold.validation]
    assert sorted(validated) == sorted(
        entry["image"] for part in ("training", "validation") for entry in ten_subjects()[part]
    )
    for fold in divided.folds:
        assert not {subject_of(entry) for entry in fold.training} & {subject_of(entry) for entry in fold.validation}
        assert len(fold.training) + len(fold.validation) == 12


def test_the_test_part_stays_out_of_all_folds(tmp_path: Path) -> None:
    divided = divide(datalist(tmp_path, **ten_subjects()), 3, tmp_path)
    for fold in divided.folds:
        assert [entry["image"] for entry in fold.test] == ["films/90.png"]
        assert "films/90.png" not in {entry["image"] for entry in fold.training + fold.validation}


def test_the_datalists_own_folds_are_kept_where_there_are_as_many_as_wanted(tmp_path: Path) -> None:
    films = [item(n, f"s{n}", fold=(0, 1, 1, 0)[n]) for n in range(4)]
    path = datalist(tmp_path, training=films[:3], validation=films[3:])
    divided = divide(path, 2, tmp_path)
    assert not divided.anew
    assert [[entry["subject"] for entry in fold.validation] for fold in divided.folds] == [["s0", "s3"], ["s1", "s2"]]
    anew = divide(path, 3, tmp_path)
    assert anew.anew
    assert {len(fold.validation) for fold in anew.folds} == {1, 2}


def test_the_same_seed_divides_the_same_way(tmp_path: Path) -> None:
    path = datalist(tmp_path, **ten_subjects())
    first, second = (data_digest(divide(path, 4, tmp_path).whole) for _ in range(2))
    assert first == second
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"split": {"seed": 4}}))
    assert data_digest(divide(path, 4, tmp_path).whole) != first


def test_a_subject_in_two_folds_is_told(tmp_path: Path) -> None:
    path = datalist(tmp_path, training=[item(0, "a", 0), item(1, "a", 1), item(2, "b", 1)])
    with pytest.raises(InvalidDatalist, match=r"the subject a is in the folds 0 and 1"):
        divide(path, 2, tmp_path)


def test_slices_of_a_volume_without_a_subject_stay_together(tmp_path: Path) -> None:
    volumes = [item(n, image=f"films/v{n // 3}.nii.gz#slice={n % 3}") for n in range(9)]
    divided = divide(datalist(tmp_path, training=volumes), 3, tmp_path)
    for fold in divided.folds:
        assert len({entry["image"].partition("#")[0] for entry in fold.validation}) == 1


def test_fewer_subjects_than_folds_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSplit, match=r"2 subjects outside the test part cannot fill 3 folds"):
        divide(datalist(tmp_path, training=[item(0, "a"), item(1, "a"), item(2, "b")]), 3, tmp_path)


def test_paths_are_relative_to_the_folder_of_the_folds(tmp_path: Path) -> None:
    path = datalist(tmp_path / "data", **ten_subjects())
    folder = tmp_path / "runs" / "cv"
    divided = divide(path, 2, folder)
    for entry in divided.folds[0].training + divided.folds[0].test:
        for key in ("image", "label"):
            where = os.path.normpath(folder / entry[key])
            assert Path(where).is_file()
            assert not Path(entry[key]).is_absolute()


def test_a_datalist_whose_pictures_are_gone_is_told(tmp_path: Path) -> None:
    path = datalist(tmp_path, **ten_subjects())
    (tmp_path / "films" / "10.png").unlink()
    with pytest.raises(InvalidDatalist, match=r"1 file in 'validation' that are not there"):
        divide(path, 2, tmp_path)


def test_the_digest_knows_other_masks_other_folds_and_not_other_places(tmp_path: Path) -> None:
    path = datalist(tmp_path / "a", **ten_subjects())
    here = divide(path, 2, tmp_path / "a").whole
    there = divide(path, 2, tmp_path / "b").whole
    assert data_digest(here) == data_digest(there)
    here.training[0]["label_sha256"] = "f" * 64
    assert data_digest(here) != data_digest(there)
