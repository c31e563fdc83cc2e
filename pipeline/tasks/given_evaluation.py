"""An evaluation as a user names it: the folder that `planar evaluate` has written, or a recorded run."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import InvalidOption, TrackingUnreachable
from pipeline.report.evaluation import EvaluationView, view_evaluation
from pipeline.tasks.audit.evaluation_folder import lay_out
from pipeline.tasks.audit.opening import open_run
from pipeline.tracking import RunFacts

__all__ = ["given_evaluation"]


def given_evaluation(given: str | os.PathLike[str], scratch: Path, store: str | None = None) -> EvaluationView:
    """Read an evaluation.

    Args:
        given: A folder, or a run: its id, the beginning of one, or its name. Of a training it is the latest evaluation
            of its weights that is of the test part, else the latest.
        scratch: An empty folder for the tables of a run; it must stay while the view is used.
        store: Tracking URI of the runs.

    Raises:
        MissingFile, InvalidDatalist, InvalidEvaluation: as `view_evaluation` does.
        TrackingUnreachable: if it is no folder, and there is no store.
        InvalidOption: if there is no such run, or it has no evaluation.
    """
    path = Path(given)
    if path.exists() or path.name != str(given) or given in ("", ".", ".."):
        return view_evaluation(path)
    try:
        found = open_run(str(given), scratch, store=store)
    except (InvalidOption, TrackingUnreachable) as error:
        raise type(error)(f"{given}: there is no such folder, and as a run: {error}") from error
    run = found.run
    if run.kind == "evaluation":
        candidates = [run]
    elif run.kind == "training":
        candidates = sorted(found.evaluations(), key=lambda one: _split(one) != "test")
    else:
        raise InvalidOption(
            f"{given}: is a run of the kind '{run.kind or 'unknown'}'; expected an evaluation, a training that was "
            "evaluated, or the folder of an evaluation. planar runs lists them."
        )
    for one in candidates:
        laid = lay_out(one, scratch / "laid" / one.name)
        if laid is not None:
            return view_evaluation(laid)
    told = "its tables are not in the record, or not whole" if candidates else "its weights were not evaluated"
    raise InvalidOption(f"{given}: {told}. Run planar evaluate, and give its folder or its run.")


def _split(run: RunFacts) -> str:
    """The part of the data that was scored; it stands as the context of the dataset."""
    return run.datasets[0].context if run.datasets else ""
