"""What is said beside the scores is found out where it was changed, though the record agrees with itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from audited_runs import Story
from forging import Forged, forge

from pipeline.tasks.audit import Outcome, Verdict
from pipeline.tasks.audit.export import export_run
from pipeline.tasks.audit.verify import verify

Change = Callable[[Forged], None]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)


@pytest.fixture(scope="module")
def pack(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack of the evaluation, with the training of its weights."""
    path = tmp_path_factory.mktemp("packs") / "evaluation.zip"
    export_run(story.evaluation, path, store=story.store)
    return path


def told(verdict: Verdict, outcome: Outcome = Outcome.FAIL) -> dict[str, str]:
    """Of each check of an outcome its words and what it names."""
    return {check.about: " ".join([check.words, *check.files]) for check in verdict.checks if check.outcome is outcome}


def setting(artifact: str, **values: Any) -> Change:
    return lambda forged: forged.json(artifact, lambda content: content.update(values))


def test_a_pack_that_was_written_anew_as_it_was_passes(pack: Path, tmp_path: Path) -> None:
    assert told(verify(str(forge(pack, tmp_path / "same.zip", lambda forged: None)))) == {}


# --- what the tables say besides figures


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"split": "training"}, "split is training, the run has scored test"),
        ({"data": "other_hospital"}, "data is other_hospital, the recorded datalist is"),
        ({"trained_on": "another_set (99 training cases)"}, "trained_on is another_set"),
        ({"checkpoint_sha256": "0" * 64}, "checkpoint_sha256 is 0000"),
        ({"n_cases": 500}, "n_cases is 500, the table has 3"),
        ({"n_subjects": 500}, "n_subjects is 500, the table has"),
        ({"classes": ["background", "heart"]}, "classes is ['heart']"),
        ({"distance_unit": "mm"}, "distance_unit is mm"),
        ({"versions": {"torch": "9.9"}}, "version of torch is 9.9"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_fact_beside_the_scores_is_told_by_the_rest_of_the_record(
    pack: Path, tmp_path: Path, said: dict[str, Any], named: str
) -> None:
    found = told(verify(str(forge(pack, tmp_path / "forged.zip", setting("tables/metrics.json", **said)))))
    assert found.keys() == {"tables"}
    assert named in found["tables"]


def test_the_part_that_was_scored_is_said_by_more_than_a_parameter(pack: Path, tmp_path: Path) -> None:
    def change(forged: Forged) -> None:
        forged.json("tables/metrics.json", lambda content: content.update(split="training"))
        forged.json("/run.json", lambda run: run["params"].update(split="training"))

    found = told(verify(str(forge(pack, tmp_path / "forged.zip", change))))["tables"]
    assert "which part was scored: the parameter split training, the executed config test" in found
    assert "is of the part test, the run has scored training" in found
