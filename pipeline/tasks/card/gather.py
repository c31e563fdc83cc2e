"""What is known of a run for its card: its training, and the evaluations of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InvalidOption
from pipeline.report.card_facts import CardFacts, ScoredRun
from pipeline.tasks.audit.evaluation_folder import scored_run
from pipeline.tasks.audit.opening import Opened
from pipeline.tasks.audit.scored_facts import METADATA
from pipeline.tracking import RunFacts

__all__ = ["gather"]


def gather(
    found: Opened,
    folder: Path,
    metadata: Mapping[str, Any] | None = None,
    fingerprint: Mapping[str, Any] | None = None,
) -> CardFacts:
    """The facts of a card.

    Args:
        found: A training or an evaluation.
        folder: For the tables of the evaluations.
        metadata: Of the bundle; by default what the training has recorded of its bundle's.
        fingerprint: Of the bundle.
    Raises: InvalidOption: if the run is of another kind, or an evaluation whose tables were not recorded.
    """
    run = found.run
    if run.kind not in ("training", "evaluation"):
        raise InvalidOption(
            f"{run.run_id} is a run of the kind '{run.kind or 'unknown'}'; a card is written of a training or an "
            "evaluation. planar runs lists them."
        )
    training = run if run.kind == "training" else _training(found)
    evaluations: dict[tuple[str, str], ScoredRun] = {}
    # The run that was asked for comes first: of several on the same data it is the one that counts.
    for one in ([run] if run.kind == "evaluation" else []) + found.evaluations():
        scored = scored_run(one, folder / one.run_id)
        if scored is not None:
            evaluations.setdefault((scored.view.data, scored.view.split), scored)
        elif one is run:
            raise InvalidOption(f"{run.run_id}: its tables are not in the record, or not whole. Evaluate again.")
    own = _own_data(training)
    order = sorted(
        evaluations.values(), key=lambda one: (one.view.data != own, one.view.split != "test", one.view.data)
    )
    if metadata is None and training is not None:
        metadata = training.json(METADATA)
    return CardFacts(training, tuple(order), dict(metadata or {}), fingerprint)


def _training(found: Opened) -> RunFacts | None:
    made_by = found.run.tags.get("planar.training_run")
    return found.related(made_by) if made_by else None


def _own_data(training: RunFacts | None) -> str:
    return CardFacts(training).data if training is not None else ""
