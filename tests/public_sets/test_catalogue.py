"""What is said of each public set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.bundle import shipped_folder
from pipeline.errors import InvalidOption, MissingFile
from pipeline.public_sets import find_set, shipped_sets
from pipeline.public_sets.catalogue import read_set

SETS = shipped_sets()


def test_the_sets_that_the_tasks_come_from_are_there() -> None:
    assert tuple(SETS) == ("drions", "drishti_gs", "kaggle_ct", "montgomery", "shenzhen")


@pytest.mark.parametrize("name", SETS)
def test_a_set_says_its_terms_its_task_and_what_was_not_verified(name: str) -> None:
    entry = SETS[name]
    configs = shipped_folder("configs")
    assert configs is not None
    assert (configs / "tasks" / f"{entry.task}.yaml").is_file()
    assert entry.terms
    assert entry.cite
    assert "Nothing was fetched when this was written." in entry.sources
    assert entry.counts


@pytest.mark.parametrize("name", SETS)
def test_a_set_can_be_had_by_fetching_or_by_steps_that_end_in_our_command(name: str) -> None:
    entry = SETS[name]
    assert entry.files or entry.by_hand
    if entry.by_hand:
        assert entry.by_hand[-1].startswith(f"planar data get {name} --from ")
    for pattern in (*entry.counts, entry.index["images"], *entry.index["masks"]):
        (where,) = re.findall(r"\{(\w+)\}", pattern)
        assert {"files": bool(entry.files), "by_hand": bool(entry.by_hand), "masks": bool(entry.outlines)}[where]


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    with pytest.raises(MissingFile, match=r"no public set 'jsrt'.*montgomery"):
        find_set("jsrt")


WHOLE = "title: a, task: b, homepage: c, terms: d, cite: e, sources: f"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "title: x\n",
        "- 1\n",
        f"{{{WHOLE}, more: g}}",
        f"{{{WHOLE}, files: [{{url: u, name: n, bytes: 1, sha256: 0}}]}}",
        f"{{{WHOLE}, files: [{{url: u, name: ../n, bytes: 1, sha256: unknown}}]}}",
    ],
)
def test_a_file_that_describes_no_set_is_one_clear_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidOption, match=r"mine\.yaml: is no description of a public set"):
        read_set(path)
