"""What is made of the figures of a cohort over a cluster, of several processes, of seeds, and of quick ways' masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.scale.processes import efficiencies
from benchmarks.scale.ray import Watched, compared
from benchmarks.scale.ray import markdown as ray_page
from benchmarks.speed.masks import dice, summary
from benchmarks.speed.masks import markdown as masks_page
from benchmarks.speed.quality import PLAIN, verdict
from benchmarks.speed.quality import markdown as quality_page
from pipeline.bundle import find_bundle

MACHINE: dict[str, Any] = {"processor": "a processor", "cores": 2, "instructions": ["avx2"]}


def inference(folder: Path, films: list[str], grey: int = 1) -> Path:
    folder.mkdir()
    for name in films:
        (folder / f"{name}_mask.png").write_bytes(bytes([grey]))
    rows = "".join(f"{name}.png,lung\n" for name in films)
    (folder / "statistics.csv").write_text(f"file,class\n{rows}")
    return folder


def test_files_that_differ_are_missing_or_too_many_are_named(tmp_path: Path) -> None:
    alone = inference(tmp_path / "alone", ["a", "b", "c"])
    same = compared(alone, inference(tmp_path / "same", ["a", "b", "c"]))
    assert same == {"masks": 3, "rows": 3, "files": 4, "different": [], "missing": [], "more": []}
    other = inference(tmp_path / "other", ["a", "b", "d"])
    (other / "a_mask.png").write_bytes(b"\2")
    found = compared(alone, other)
    assert found["different"] == ["a_mask.png", "statistics.csv"]
    assert (found["missing"], found["more"]) == (["c_mask.png"], ["d_mask.png"])


def test_a_mask_that_is_written_twice_is_seen(tmp_path: Path) -> None:
    folder = inference(tmp_path / "masks", ["a", "b"])
    watched = Watched(folder, 1)
    watched.look()
    watched.look()
    assert watched.twice == set()
    (folder / "again.png").write_bytes(b"\1")
    (folder / "again.png").replace(folder / "b_mask.png")
    watched.look()
    assert watched.twice == {"b_mask.png"}


def test_the_page_of_a_cluster_says_if_something_is_wrong() -> None:
    found = {"masks": 20, "rows": 20, "files": 41, "different": [], "missing": [], "more": [], "written_twice": 0}
    about = {"machine": MACHINE, "versions": {"ray": "2"}, "bundle": "b", "films": 20, "size": 64, "workers": 2}
    run = {"masks_when_killed": 10, "seconds": {"alone": 1.0, "cluster": 2.0}, "as_it_should_be": True}
    assert ray_page(about | run | found).endswith("\nAs it should be.\n")
    assert "**Not as it should be.**" in ray_page(about | run | found | {"as_it_should_be": False})


def test_efficiency_is_the_share_of_so_many_single_processes() -> None:
    """In the second round the machine is half as fast for all: the shares stay."""
    turns = {
        "one": [{"images": 8, "steps": 1, "seconds": 1.0}, {"images": 8, "steps": 1, "seconds": 2.0}],
        "split": [{"images": 12, "steps": 1.5, "seconds": 1.0}, {"images": 12, "steps": 1.5, "seconds": 2.0}],
    }
    rows = efficiencies(turns, 2)
    assert rows["one"]["efficiency"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert rows["split"]["efficiency"] == {"median": 0.75, "min": 0.75, "max": 0.75}
    assert rows["split"]["steps"] == pytest.approx(1.125)


@pytest.mark.parametrize(
    ("quick", "as_good"), [((0.93, 0.95, 0.94), True), ((0.90, 0.92, 0.91), False), ((0.97, 0.97, 0.97), True)]
)
def test_the_quick_training_is_as_good_within_what_seeds_change(quick: tuple[float, ...], as_good: bool) -> None:
    found = verdict(quick, (0.94, 0.95, 0.96))
    assert found["spread_of_plain"] == pytest.approx(0.02)
    assert found["as_good"] is as_good
    about = {"machine": MACHINE, "versions": {}, "bundle": "b", "data": "d", "size": 128, "epochs": 2, "note": ""}
    trainings = {"quick": [{"seed": 0, "dice": 0.9, "train_seconds": 3.0}], "plain": []}
    page = quality_page(about | {"trainings": trainings, "verdict": found})
    assert ("**worse**" in page) is not as_good


def test_the_plain_way_changes_what_is_in_the_bundle() -> None:
    """A key that the config has no longer would change nothing, and the plain way would be the quick one."""
    config = yaml.safe_load(find_bundle("cxr_lung_segmentation").config("train").read_text())
    for setting in PLAIN:
        place: Any = config
        for part in setting.partition("=")[0].split("#"):
            place = place[part]
        assert place != setting.partition("=")[2]


def test_dice_is_of_classes_that_one_of_two_masks_has() -> None:
    one = np.array([[1, 1, 0], [0, 2, 0]], np.uint8)
    other = np.array([[1, 0, 0], [0, 2, 0]], np.uint8)
    assert [dice(one, other, label) for label in (1, 2, 3)] == [pytest.approx(2 / 3), 1.0, None]


def test_the_lowest_class_speaks_for_a_set() -> None:
    found = summary([{1: 1.0, 2: None}, {1: 0.9999, 2: 0.9}, {1: 1.0, 2: 1.0}])
    assert found["by_class"] == {"1": pytest.approx(0.99996666), "2": pytest.approx(0.95)}
    assert (found["mean"], found["lowest"], found["pictures"]) == (pytest.approx(0.95), 0.9, 3)
    sets = [{"set": "films", "bundle": "b", "ways": {"usual": found}, "no_program": "It looks at parts."}]
    page = masks_page({"machine": MACHINE, "versions": {}, "least": 0.999, "sets": sets})
    assert "| 3 | 0.95000 **below** | 0.90000 |" in page
    assert "It looks at parts." in page
