"""Whether a run is of the kind that it says: which of its numbers are computed again depends on that."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.tasks.audit.case_tables import CASES, SUMMARY
from pipeline.tasks.audit.check import Check, failed, skipped
from pipeline.tracking import RunFacts
from pipeline.tracking.headline import SELECTING
from pipeline.tracking.recorded import config_artifact

__all__ = ["HISTORY", "NOT_SCORED", "SCORED_KINDS", "check_kind"]

SCORED_KINDS = ("evaluation", "training")
# What Planar records besides, and has no numbers of its own that could be computed again.
NOT_SCORED = ("cross-validation", "inference")
HISTORY = "tables/history.csv"


def check_kind(run: RunFacts) -> Iterator[Check]:
    """Nothing, where the run looks like what it says that it is; a kind that Planar does not know is no pass."""
    if run.kind in SCORED_KINDS:
        return
    signs = [*_signs_of_training(run), *_signs_of_evaluation(run)]
    if signs:
        words = f"it says that it is of the kind '{run.kind or 'unknown'}', and has what only others have: "
        yield failed("kind", words + ", ".join(signs), ["tag planar.kind"])
    elif run.kind not in NOT_SCORED:
        yield skipped("kind", f"Planar records no runs of the kind '{run.kind or 'unknown'}'")


def _signs_of_training(run: RunFacts) -> Iterator[str]:
    yield from (path for path in run.files if path == HISTORY)
    yield from (f"the metric {name}" for name in run.metrics if name == SELECTING)


def _signs_of_evaluation(run: RunFacts) -> Iterator[str]:
    """An inference has no scores; a cross-validation has those of its folds, and so neither weights nor a workflow."""
    if run.kind == "inference":
        if CASES in run.files and "dice" in _columns(run):
            yield f"scores in {CASES}"
        yield from (path for path in run.files if path == SUMMARY)
        yield from (f"the metric {name}" for name in run.metrics if name.startswith("dice_"))
        return
    if CASES not in run.files:
        return
    if "planar.model_sha256" in run.tags or run.models:
        yield "scores of one network's weights"
    summary = run.json(SUMMARY)
    if isinstance(summary, dict) and summary.get("checkpoint_sha256"):
        yield f"a checkpoint in {SUMMARY}"
    config = config_artifact(run)
    content = run.json(config) if config is not None else None
    if isinstance(content, dict) and {"evaluator", "train"} & content.keys():
        yield f"the workflow in {config}"


def _columns(run: RunFacts) -> list[str]:
    with run.fetch(CASES).open(encoding="utf-8", errors="replace") as table:
        return table.readline().strip().split(",")
