"""docs/tasks.md says what the released bundles' records say, and no figure that nobody measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.release.page import PAGE, PUBLISHED, ROOT, tasks_page
from benchmarks.release.releases import RELEASES
from pipeline.planning import read_task_spec
from pipeline.report.fingerprint_facts import near_duplicates_of

NUMBERS = ("", "", "Two", "Three", "Four", "Five")


def figures(mean: float) -> dict[str, Any]:
    found = {"mean": mean, "ci_low": mean - 0.01, "ci_high": mean + 0.01, "p5": mean - 0.1, "n": 9}
    return dict.fromkeys(("dice", "iou", "precision", "recall", "f1", "hd95"), found)


RECIPE = {
    "name": "montgomery",
    "seconds": 99.0,
    "parameters": 31_000_000,
    "machine": "a machine, 2 cores",
    "overrides": ["repeats=4"],
    "why": "7 steps an epoch",
    "data": "cxr_shenzhen",
    "scores": {"lung": figures(0.95)},
}


def record(**changes: Any) -> dict[str, Any]:
    return {
        "seconds": 1234.5,
        "parameters": 1_234_567,
        "machine": "a processor, 2 cores",
        "scores": {"cxr_shenzhen": {"lung": figures(0.961)}, "cxr_multisite_field": {"lung": figures(0.941)}},
        "half": {"weights": "the released weights", "difference": -0.00002, "largest_of_a_case": 0.0001, "numbers": 9},
        **changes,
    }


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    (tmp_path / "cxr_lung_segmentation" / "docs").mkdir(parents=True)
    return tmp_path


def write(bundles: Path, content: dict[str, Any]) -> str:
    (bundles / "cxr_lung_segmentation" / "docs" / "release.json").write_text(json.dumps(content))
    return tasks_page(bundles)


def test_the_committed_page_is_what_is_made_of_the_records() -> None:
    made = tasks_page(ROOT / "bundles")
    assert PAGE.read_text(encoding="utf-8") == made, "write it again: python -m benchmarks.release.page"


@pytest.mark.parametrize("name", RELEASES)
def test_what_makes_a_bundles_card_favourable_stands_on_the_page_too(name: str) -> None:
    fingerprint = json.loads((ROOT / "bundles" / name / "configs" / "fingerprint.json").read_text(encoding="utf-8"))
    card = " ".join((ROOT / "bundles" / name / "docs" / "README.md").read_text(encoding="utf-8").split())
    told = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))[name]["shows_not"]
    pairs = len(near_duplicates_of(fingerprint, "test"))
    assert pairs < len(NUMBERS)
    assert not pairs or f"{NUMBERS[pairs]} pairs of nearly equal pictures" in told
    assert ("scores in view" in card or "score in view" in card) == ("in view" in told)
    assert ("that looks alike" in card) == ("look alike" in told)


def test_without_records_there_are_no_scores_of_ours(tmp_path: Path) -> None:
    page = tasks_page(tmp_path)
    assert page.count("The bundle is not released yet.") == len(RELEASES)
    assert not re.search(r"\d\.\d{3} \(\d", page)


def test_each_release_and_each_of_its_classes_is_on_the_page() -> None:
    told = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    assert list(told) == list(RELEASES)
    for name, about in told.items():
        spec = read_task_spec(ROOT / "configs" / "tasks" / f"{RELEASES[name].task}.yaml")
        assert about["classes"] == [*spec.unions, *spec.labels[1:]]
        assert (about["project"] is None) == (RELEASES[name].recipe is None)


def test_the_figures_are_the_records(bundles: Path) -> None:
    page = write(bundles, record())
    assert "| bundle, cxr_shenzhen | lung | 9 | 0.961 (0.951 to 0.971) | 0.861 |" in page
    assert "| bundle, cxr_multisite_field | lung | 9 | 0.941 (0.931 to 0.951) | 0.841 |" in page
    assert "–; 1,234" in page
    assert "–; 1,234,567" in page
    assert "changes Dice by −0.000020" in page
    assert "not run yet" in page


@pytest.mark.parametrize(
    ("against", "words"),
    [
        (
            {"mean": 0.0114, "ci_low": -0.002, "ci_high": 0.02, "n": 9, "invented": {"recipe": 0, "bundle": 0}},
            "lung +0.011 (−0.002 to +0.020) over 9 subjects.",
        ),
        (
            {"mean": -0.2, "ci_low": None, "ci_high": None, "n": 1, "invented": {"recipe": 0, "bundle": 2}},
            "lung −0.200 over 1 subject. In 2 pictures without lung the bundle alone finds some: there its Dice is 0,",
        ),
    ],
)
def test_it_says_how_far_the_bundle_is_above_the_recipe(bundles: Path, against: dict[str, Any], words: str) -> None:
    page = write(bundles, record(recipe={**RECIPE, "against": {"lung": against}}))
    assert words in page
    assert "The recipe was run on a machine, 2 cores with `repeats=4`: 7 steps an epoch." in page
    assert "99; 1,234" in page
    assert "31,000,000; 1,234,567" in page
    assert page.count("The recipe was not run yet") == len([one for one in RELEASES.values() if one.recipe]) - 1


def test_it_says_which_figures_are_in_no_pack(bundles: Path) -> None:
    def said(**changes: Any) -> str:
        (line,) = re.findall(r"^Not in a pack .*$", write(bundles, record(**changes)), re.MULTILINE)
        return str(line)

    assert said().endswith("`docs/release.json`): what half precision changes; the seconds to train.")
    joined = {"scores": {"cxr_shenzhen": {"lung": figures(0.9)}, "films, all=a,b": {"all": figures(0.9)}}}
    beside = {**joined, "recipe": {**RECIPE, "against": {}}}
    assert "): the recipe's figures, and so the differences from it; the bundle's figures on films, all=" in said(
        **beside
    )
    docs = bundles / "cxr_lung_segmentation" / "docs"
    (docs / "recipe.zip").write_bytes(b"")
    assert "recipe" not in said(**beside)
    assert "films" in said(**beside)
    (docs / "united.zip").write_bytes(b"")
    assert said(**beside) == said()
