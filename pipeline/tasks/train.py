"""Train a bundle on a datalist: the bundle's own train config, filled in, recorded and watched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle, copy_bundle, find_bundle, parse_overrides
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidOption, MissingFile
from pipeline.tasks.workflow import default_folder, open_workflow, quiet_libraries, run_recorded

__all__ = ["TrainingResult", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    Attributes:
        bundle: The trained bundle: a copy of the one given, with its weights.
        best_metric: Best validation score: mean Dice over the classes without background.
        best_epoch: Epoch of that score.
        epochs: Epochs that were run in all.
        seconds: Duration, s.
        run_id: MLflow run, or None without tracking.
        notes: What the user should know.
    """

    bundle: Bundle
    best_metric: float
    best_epoch: int
    epochs: int
    seconds: float
    run_id: str | None
    notes: tuple[str, ...]


def train(
    name_or_path: str,
    datalist: Path,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    tracking: bool = True,
    handlers: Sequence[object] = (),
) -> TrainingResult:
    """Train a copy of a bundle.

    Args:
        name_or_path: The bundle; with `resume` the folder of the training to continue.
        datalist: `datalist.json` with cases in "training" and "validation".
        out: Folder of the trained bundle; default `runs/<bundle>/train-<time>`.
        overrides: `key=value` for the train config.
        resume: Continue in place from `models/last.pt`.
        tracking: Whether to record an MLflow run.
        handlers: Ignite handlers for the trainer, such as a progress bar.

    Raises:
        InvalidBundle, InvalidDatalist, InvalidOption, OutputExists: before anything is written.
    """
    began = time.perf_counter()
    source = find_bundle(name_or_path)
    settings: dict[str, Any] = parse_overrides(tuple(overrides), source.config("train"))
    for split in ("training", "validation"):
        load_cases(datalist, split)
    content = read_datalist(datalist)
    labels = dict(enumerate(content.labels))
    notes: list[str] = []
    if resume:
        if out is not None and out.resolve() != source.root:
            raise InvalidOption("--resume continues in the training's own folder; leave out -o.")
        if not (source.root / "models" / "last.pt").is_file():
            raise MissingFile(
                f"{source.root / 'models' / 'last.pt'} is not there; expected the checkpoint of a training that was "
                "begun. Give that training's folder, or leave out --resume."
            )
        bundle = source
        settings["resume"] = True
    else:
        if labels != source.labels("train"):
            notes.append(f"The classes are the datalist's: {', '.join(labels.values())}.")
        trained_on = f"{content.name} ({len(content.training)} training cases)"
        bundle = copy_bundle(source, out or default_folder(source, "train"), labels, settings, trained_on)
    settings["datalist"] = str(datalist.resolve())

    with quiet_libraries():
        workflow = open_workflow(bundle, "train", settings, tracking=tracking, handlers={"train#handlers": [*handlers]})
        run_id = run_recorded(workflow, "training_recorder")
        trainer = workflow.parser.get_parsed_content("train#trainer")
        checkpoints = workflow.parser.get_parsed_content("checkpoints")
    return TrainingResult(
        bundle=bundle,
        best_metric=checkpoints.best_metric,
        best_epoch=checkpoints.best_epoch,
        epochs=trainer.state.epoch,
        seconds=time.perf_counter() - began,
        run_id=run_id,
        notes=tuple(notes),
    )
