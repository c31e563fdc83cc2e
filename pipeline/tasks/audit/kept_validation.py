"""Which validation a training's weights are of."""

from __future__ import annotations

import math

from pipeline.history import read_history
from pipeline.tasks.audit.of_kind import HISTORY
from pipeline.tracking import RunFacts
from pipeline.tracking.headline import SELECTING

__all__ = ["kept_validation"]


def kept_validation(run: RunFacts) -> tuple[int, dict[str, float]]:
    """The epoch of the weights, and what its validation came to.

    The history knows also the epochs before a training was resumed, of which the weights may be.
    """
    by_epoch: dict[int, dict[str, float]] = {}
    if HISTORY in run.files:
        for row in read_history(run.fetch(HISTORY)):
            by_epoch[int(row["epoch"])] = {
                name: value for name, value in row.items() if name.startswith("val_") and not math.isnan(value)
            }
    for name, points in run.metrics.items():
        for point in points if name.startswith("val_") else ():
            by_epoch.setdefault(point.step, {})[name] = point.value
    scored = {epoch: values for epoch, values in by_epoch.items() if SELECTING in values}
    if not scored:
        return 0, {}
    kept = max(scored) if run.keeps_last else max(scored, key=lambda epoch: (scored[epoch][SELECTING], -epoch))
    return kept, scored[kept]
