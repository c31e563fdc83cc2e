"""Score a bundle on one split of a datalist, on each image's own grid."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle, find_bundle, parse_overrides
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidDatalist, MissingFile
from pipeline.tasks.workflow import default_folder, open_workflow, quiet_libraries, run_recorded

__all__ = ["EvaluationResult", "evaluate"]


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation came to.

    Attributes:
        folder: Where `cases.csv` and `metrics.json` are.
        summary: As in `metrics.json`; see `pipeline.metrics.summarise`.
        cases: Images scored.
        subjects: Subjects they belong to.
        seconds: Duration, s.
        run_id: MLflow run, or None without tracking.
    """

    folder: Path
    summary: dict[str, Any]
    cases: int
    subjects: int
    seconds: float
    run_id: str | None


def evaluate(
    name_or_path: str,
    datalist: Path,
    split: str = "test",
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    checkpoint: Path | None = None,
    tracking: bool = True,
    handlers: Sequence[object] = (),
) -> EvaluationResult:
    """Run the bundle's evaluate config on one split.

    Args:
        name_or_path: The bundle.
        datalist: `datalist.json`.
        split: "training", "validation" or "test".
        out: Folder of the tables; default `runs/<bundle>/evaluate-<split>-<time>`.
        overrides: `key=value` for the evaluate config.
        checkpoint: Weights other than the bundle's `models/model.pt`.
        tracking: Whether to record an MLflow run.
        handlers: Ignite handlers for the evaluator, such as a progress bar.
    """
    began = time.perf_counter()
    bundle = find_bundle(name_or_path)
    settings: dict[str, Any] = parse_overrides(tuple(overrides), bundle.config("evaluate"))
    load_cases(datalist, split)
    expected, found = bundle.labels("evaluate"), dict(enumerate(read_datalist(datalist).labels))
    if len(expected) != len(found):
        raise InvalidDatalist(
            f"{datalist}: has the classes {', '.join(found.values())}; the bundle {bundle.name} predicts "
            f"{', '.join(expected.values())}. Index the masks again with the bundle's classes."
        )
    weights = checkpoint or bundle.weights
    require_weights(bundle, weights)
    folder = out or default_folder(bundle, f"evaluate-{split}")
    settings |= {
        "datalist": str(datalist.resolve()),
        "split": split,
        "output_dir": str(folder.resolve()),
        "ckpt_path": str(weights.resolve()),
    }
    with quiet_libraries():
        workflow = open_workflow(bundle, "evaluate", settings, tracking=tracking, handlers={"handlers": [*handlers]})
        run_id = run_recorded(workflow, "evaluation_recorder")
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return EvaluationResult(
        folder=folder,
        summary=record["summary"],
        cases=record["n_cases"],
        subjects=record["n_subjects"],
        seconds=time.perf_counter() - began,
        run_id=run_id,
    )


def require_weights(bundle: Bundle, weights: Path) -> None:
    """Raise MissingFile, with what to do, if the weights are not there."""
    if not weights.is_file():
        raise MissingFile(
            f"{weights} is not there; expected trained weights. Train the bundle first "
            f"(planar train {bundle.name} --data datalist.json), or name others with --checkpoint."
        )
