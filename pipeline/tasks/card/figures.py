"""The scores in a bundle's metadata: from which runs they are, and what they must be."""

from __future__ import annotations

import re
from typing import Any

from pipeline.report.card_facts import CardFacts, ScoredRun

__all__ = ["DIGITS", "RECORD", "figures_of", "record_of"]

# Where the metadata say which runs their scores are of: `planar`, and in it this.
RECORD = "record"
DIGITS = 4


def record_of(facts: CardFacts) -> dict[str, Any]:
    """Which runs a bundle's metadata speak of."""
    return {
        "training_run": facts.training.run_id if facts.training is not None else None,
        "model_sha256": facts.model_sha256 or None,
        "evaluations": {suffix: scored.run.run_id for suffix, scored in _named(facts).items()},
    }


def figures_of(scored: ScoredRun, suffix: str) -> dict[str, float]:
    """The scores of an evaluation for the metadata: means over images, as in the run's metrics.

    Args:
        scored: The evaluation.
        suffix: Of their names; empty for the main one.
    """
    row = scored.rows[-1]
    end = f"_{suffix}" if suffix else ""
    named = {f"mean_{metric}{end}": scored.figure(row, metric) for metric in ("dice", "iou")}
    if len(scored.view.classes) > 1:
        named |= {f"dice_{_slug(label)}{end}": scored.figure(label, "dice") for label in scored.view.classes}
    return {name: round(value, DIGITS) for name, value in named.items() if value is not None}


def _named(facts: CardFacts) -> dict[str, ScoredRun]:
    """The evaluations by the end of the names of their scores; the first one is the main one."""
    named: dict[str, ScoredRun] = {}
    for scored in facts.evaluations:
        view = scored.view
        suffix = "" if not named else _slug(view.data if view.split == "test" else f"{view.data}_{view.split}")
        number = 2
        while suffix in named:
            suffix = f"{suffix.rstrip('0123456789_')}_{number}"
            number += 1
        named[suffix] = scored
    return named


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.casefold()).strip("_") or "other"
