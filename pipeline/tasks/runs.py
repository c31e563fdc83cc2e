"""What has been recorded: the runs of a store, and records that it does not have whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.split import PARTS
from pipeline.tracking import Headline, RunFacts, RunStore, Synced, headline_of, sync
from pipeline.tracking.store import store_uri

__all__ = ["RunRow", "list_runs", "sync_runs"]


@dataclass(frozen=True)
class RunRow:
    """A run in a table of runs.

    Attributes:
        run: The run.
        data: What it was given, in a few words; empty if that was not recorded.
        best: Its main number, if there is one.
    """

    run: RunFacts
    data: str
    best: Headline | None

    @property
    def seconds(self) -> float | None:
        """How long it took, s; None if it has not ended."""
        return None if self.run.ended_ms is None else (self.run.ended_ms - self.run.started_ms) / 1000

    def document(self) -> dict[str, Any]:
        """The row as JSON."""
        run = self.run
        return {
            "run_id": run.run_id,
            "name": run.name,
            "experiment": run.experiment,
            "kind": run.kind or None,
            "status": run.status,
            "ended_by": run.tags.get("planar.ended"),
            "started_ms": run.started_ms,
            "ended_ms": run.ended_ms,
            "seconds": self.seconds,
            "data": [{"name": one.name, "context": one.context, **one.profile} for one in run.datasets],
            "datalist_sha256": run.tags.get("planar.datalist_sha256"),
            "best": None if self.best is None else vars(self.best),
            "model_sha256": run.tags.get("planar.model_sha256"),
            "training_run": run.tags.get("planar.training_run"),
            "resumes": run.tags.get("planar.resumes"),
            "git_commit": run.tags.get("mlflow.source.git.commit"),
            "git_dirty": run.tags.get("planar.git.dirty"),
        }


def list_runs(
    store: str | None = None, *, experiment: str | None = None, kind: str | None = None, limit: int = 20
) -> list[RunRow]:
    """The runs of a store, the latest first.

    Args:
        store: Tracking URI; see `tracking_uri`.
        experiment: Of this experiment alone.
        kind: "training", "evaluation", "inference" or "cross-validation" alone.
        limit: As many at most; 0 for all.

    Raises:
        TrackingUnreachable: if the store is not there or does not answer.
        InvalidOption: if there is no such experiment.
    """
    tags = {"planar.kind": kind} if kind else None
    return [RunRow(run, _data(run), headline_of(run)) for run in RunStore(store).overview(experiment, tags, limit)]


def sync_runs(store: str | None = None) -> list[Synced]:
    """Send what ended processes have left on this machine, and end the runs that nothing else has ended.

    Inferences that are over and whose runs are not written yet are written too.

    Args:
        store: For this store alone; None for all.
    """
    from pipeline.tasks.infer.writing_told import write_told

    write_told()
    return sync(store_uri(store) if store else None)


def _data(run: RunFacts) -> str:
    """As in "films: 359 training, 22 validation"; how many cases if no more is known."""
    sizes = {one.context: one.profile.get("cases") for one in run.datasets}
    names = dict.fromkeys(one.name.removesuffix(f" {one.context}") for one in run.datasets)
    if not sizes:
        known = {"training": "train_cases", "validation": "validation_cases", run.params.get("split", ""): "cases"}
        sizes = {part: run.params[param] for part, param in known.items() if param in run.params}
    parts = sorted(sizes, key=lambda part: PARTS.index(part) if part in PARTS else len(PARTS))
    told = ", ".join(f"{sizes[part]} {part}".strip() for part in parts if sizes[part] is not None)
    return ": ".join(part for part in (", ".join(names), told) if part)
