"""Computing the numbers of a run again, by the config that it has recorded.

A config is code: MONAI evaluates the `$…` in it. Only runs and packs that one trusts are scored again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.tasks.workflow import quiet_libraries
from pipeline.tracking.words import allowed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ScoredAgain", "evaluate_again", "validate_again"]

# Of an evaluation's handlers, those that the scores come from; the others draw, tell and record.
NEEDED = ("CheckpointLoader", "monai.handlers.CheckpointLoader", "pipeline.metrics.CaseTable")


@dataclass(frozen=True)
class ScoredAgain:
    """An evaluation that was run again.

    Attributes:
        cases: The table of cases.
        record: The content of `metrics.json`.
        metrics: What the evaluator has told of it, MONAI's means among them, by the names that a run has them by.
        folder: Where its tables are.
    """

    cases: pd.DataFrame
    record: Mapping[str, Any]
    metrics: Mapping[str, float]
    folder: Path


def evaluate_again(
    config: Path,
    folder: Path,
    *,
    datalist: Path,
    split: str,
    weights: Path,
    bundle: Path | None,
    handlers: Sequence[object] = (),
) -> ScoredAgain:
    """Run the config of an evaluation.

    Args:
        config: The executed config, as it was recorded.
        folder: For what is written.
        datalist: Whose cases are scored.
        split: Part of the datalist.
        weights: The checkpoint.
        bundle: The bundle, for what its config refers to.
        handlers: Ignite handlers for the evaluator, such as a progress bar.
    """
    import torch

    from pipeline.tasks.audit.case_tables import read_cases

    content = json.loads(config.read_text(encoding="utf-8"))
    content["handlers"] = [one for one in content.get("handlers", []) if _is_needed(one)]
    out = folder / "scores"
    settings = {
        "bundle_root": str((bundle or folder).resolve()),
        "datalist": str(datalist.resolve()),
        "split": split,
        "output_dir": str(out),
        "ckpt_path": str(weights.resolve()),
        "save_masks": False,
        "overwrite": True,
    }
    with quiet_libraries():
        workflow = _workflow(content, folder, "eval", settings)
        workflow.parser["handlers"] = [*workflow.parser["handlers"], *handlers]
        workflow.initialize()
        workflow.run()
        told = workflow.parser.get_parsed_content("evaluator").state.metrics if "evaluator" in content else {}
        workflow.finalize()
    # As a run's recorder takes them.
    metrics = {allowed(name): float(value) for name, value in told.items() if torch.as_tensor(value).numel() == 1}
    record = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return ScoredAgain(read_cases(out / "cases.csv"), record, metrics, out)


def validate_again(
    config: Path, folder: Path, *, datalist: Path, weights: Path, bundle: Path | None, handlers: Sequence[object] = ()
) -> dict[str, float]:
    """Run the validation of a training's config with given weights.

    Args:
        config: The executed config, as it was recorded.
        folder: For what is written.
        datalist: Whose validation cases are scored.
        weights: The checkpoint.
        bundle: The bundle, for what its config refers to.
        handlers: Ignite handlers for the validator, such as a progress bar.
    Returns: The metrics, and each of them by class, as a training records them.
    """
    import torch

    from pipeline.history import scores_by_class

    content = json.loads(config.read_text(encoding="utf-8"))
    settings = {
        "bundle_root": str((bundle or folder).resolve()),
        "datalist": str(datalist.resolve()),
        "output_dir": str(folder / "output"),
        "ckpt_dir": str(weights.resolve().parent),
        "resume": False,
        "start_from": None,  # the run's own weights are loaded, and what it began with is no part of its record
        "cache_rate": 0.0,
        "num_workers": 0,
    }
    with quiet_libraries():
        workflow = _workflow(content, folder, "train", settings)
        # The weights that are kept are those of the running mean; they are loaded as they are.
        workflow.parser["validate#evaluator#network"] = "@network"
        workflow.parser["validate#handlers"] = [*handlers]
        workflow.initialize()
        parser = workflow.parser
        network = parser.get_parsed_content("network_def")
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        evaluator = parser.get_parsed_content("validate#evaluator")
        evaluator.run()
        labels = {int(k): str(v) for k, v in content.get("labels", {}).items() if int(k) != 0}
        return scores_by_class(evaluator, labels)


def _workflow(content: Mapping[str, Any], folder: Path, kind: str, settings: Mapping[str, Any]) -> Any:
    """MONAI's workflow of a recorded config, in which nothing is recorded."""
    from monai.bundle import ConfigWorkflow

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    # A setting that the config does not have is none of its.
    known = {key: value for key, value in settings.items() if key in content}
    return ConfigWorkflow(config_file=str(file), logging_file=False, workflow_type=kind, tracking=None, **known)


def _is_needed(handler: Any) -> bool:
    return isinstance(handler, Mapping) and handler.get("_target_") in NEEDED
