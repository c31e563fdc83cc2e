"""Which epoch's validation is scored again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pipeline.tasks.audit.kept_validation import kept_validation
from pipeline.tracking.facts import Point, RunFacts


def run(tags: Mapping[str, str], **metrics: list[float]) -> RunFacts:
    points = {name: tuple(Point(k, value, 0) for k, value in enumerate(values, 1)) for name, values in metrics.items()}
    return RunFacts("r", "", "", "FINISHED", 0, None, tags, {}, points)


@pytest.mark.parametrize(("tags", "epoch"), [({}, 2), ({"planar.keeps_last": "true"}, 3)])
def test_it_is_that_of_the_weights(tags: dict[str, str], epoch: int) -> None:
    found = kept_validation(run(tags, val_mean_dice=[0.4, 0.8, 0.7], val_mean_iou=[0.3, 0.6, 0.5], train_loss=[1.0]))
    assert found == (epoch, {"val_mean_dice": [0.8, 0.7][epoch - 2], "val_mean_iou": [0.6, 0.5][epoch - 2]})


def test_without_a_validation_there_is_none() -> None:
    assert kept_validation(run({}, train_loss=[1.0])) == (0, {})
