"""What `planar plan` says of a bundle that it has planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.fingerprint import Fingerprint
from pipeline.labels import LabelCoding
from pipeline.planning import PlanOptions, TaskSpec, make_plan
from pipeline.tasks.plan import _notes


@pytest.mark.parametrize(
    ("subjects", "says"), [((8, 1, 2), "train --folds 5"), ((2, 1, 1), "train --folds 3"), ((1, 0, 1), None)]
)
def test_few_cases_are_offered_as_many_folds_as_their_subjects_fill(
    subjects: tuple[int, int, int], says: str | None, fingerprint: Callable[..., dict[str, Any]]
) -> None:
    document = fingerprint(cases=(12, 5, 5))
    document["subjects"] = dict(zip(("training", "validation", "test"), subjects, strict=True))
    spec = TaskSpec("a_task", ("background", "lung"), LabelCoding("index"))
    notes = _notes(make_plan(Fingerprint(document), spec, PlanOptions()), Path("a_task_segmentation"))
    offered = [note for note in notes if "--folds" in note]
    assert len(offered) == (says is not None)
    assert all(says in note for note in offered if says)
