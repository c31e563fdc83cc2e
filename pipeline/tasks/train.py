"""Train a bundle on a datalist: the bundle's own train config, filled in, recorded and watched."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import Bundle, apply_settings, checked_overrides, find_bundle
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidOption
from pipeline.step_times import PhaseTime, StepTimes
from pipeline.tasks.prepared import Wishes, copied, going_on, train_config
from pipeline.tasks.resuming import WhenStarted, training_in
from pipeline.tasks.start_weights import StartWeights
from pipeline.tasks.way_on import note_way_on, way_on
from pipeline.tasks.workflow import fitting_weights, open_workflow, quiet_libraries, run_recorded

if TYPE_CHECKING:
    from monai.bundle import ConfigWorkflow

__all__ = ["TrainingResult", "train"]

# What has an option of its own must not come a second time as KEY=VALUE.
SET_ELSEWHERE = {
    "bundle_root": "the argument BUNDLE",
    "datalist": "--data",
    "ckpt_dir": "-o, the weights are in its folder models",
    "resume": "--resume",
    "start_from": "--start-from",
    "labels": "the datalist",
}


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    Attributes:
        bundle: The trained bundle: a copy of the one given, with its weights.
        best_metric: Validation score of the weights that are kept: mean Dice over the classes without background.
        best_epoch: Epoch of that score.
        keeps_last: Whether these are the last validation's, and not the best one's.
        epochs: Epochs that were run in all.
        seconds: Duration, s; of a training that went on, without what was before.
        run_id: MLflow run, or None without tracking.
        notes: What the user should know.
        step_times: Where the time went, if it was asked for.
        epochs_before: Those of `epochs` that it had had already when it was resumed.
    """

    bundle: Bundle
    best_metric: float
    best_epoch: int
    keeps_last: bool
    epochs: int
    seconds: float
    run_id: str | None
    notes: tuple[str, ...]
    step_times: tuple[PhaseTime, ...] = ()
    epochs_before: int = 0


def train(
    name_or_path: str,
    datalist: Path,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    recipe: str | None = None,
    resume: bool = False,
    start_from: str | None = None,
    tracking: bool = True,
    handlers: Sequence[object] = (),
    on_loading: Callable[[], None] = lambda: None,
    tags: Mapping[str, str] | None = None,
    register_as: str | None = None,
    champion: bool = False,
    profile: bool = False,
) -> TrainingResult:
    """Train a copy of a bundle.

    Args:
        name_or_path: The bundle; with `resume` the folder of the training to continue.
        datalist: `datalist.json` with cases in "training" and "validation".
        out: Folder of the trained bundle; default `runs/<bundle>/train-<time>`.
        overrides: `key=value` for the train config; they win over the recipe.
        recipe: Name or path of a published project's settings, by which the copy is trained.
        resume: Continue in place from `models/last.pt`.
        start_from: Bundle, or file of weights, that the training begins with, as far as they fit.
        tracking: Whether to record an MLflow run.
        handlers: Ignite handlers for the trainer, such as a progress bar.
        on_loading: Called when all that can be checked fast is right, before libraries and pictures are loaded.
        tags: Of the MLflow run, next to its own.
        register_as: Name under which MLflow registers the best weights; None for not at all.
        champion: Whether the registered version gets the alias "champion".
        profile: Whether to find out where the time goes; `models/step_times.csv` and metrics of the run say it.

    Raises:
        InvalidBundle, InvalidDatalist, InvalidOption, OutputExists: before anything is written.
        NoMemory, NoRoom: if the GPU's memory or the disk does not suffice, with how the training goes on.
    """
    began = time.perf_counter()
    _require_registrable(register_as, champion, tracking)
    source = find_bundle(name_or_path)
    wishes = Wishes.of(recipe, start_from, resume=resume)
    settings: dict[str, Any] = checked_overrides(
        tuple(overrides), source.config("train"), SET_ELSEWHERE, also=wishes.keys
    )
    for split in ("training", "validation"):
        load_cases(datalist, split)
    content = read_datalist(datalist)
    if not resume:
        ready = copied(source, out, content, datalist, settings, wishes, on_loading)
    elif out is not None and out.resolve() != source.root:
        raise InvalidOption("--resume continues in the training's own folder; leave out -o.")
    else:
        ready = going_on(source, content, datalist, settings, on_loading)
    bundle, notes = ready.bundle, ready.notes
    run_settings = settings | {"datalist": str(datalist.resolve())} | ({"resume": True} if resume else {})
    batch_size = (train_config(bundle) | settings).get("batch_size")
    if register_as is not None:
        run_settings |= {"register_as": register_as, "champion": champion}

    try:
        with training_in(bundle), quiet_libraries():
            hooks = [*handlers, WhenStarted(lambda: apply_settings(bundle, settings))] if resume else [*handlers]
            workflow = open_workflow(
                bundle, "train", run_settings, tracking=tracking, handlers={"train#handlers": hooks}
            )
            if ready.same_cases:
                workflow.parser.get_parsed_content("checkpoints").same_cases = True
            times = _timed(workflow, bundle) if profile else None
            with fitting_weights(bundle.root / "models" / "last.pt", bundle.config("train")):
                run_id = run_recorded(workflow, "training_recorder", notes, {**wishes.tags, **(tags or {})})
            trainer = workflow.parser.get_parsed_content("train#trainer")
            if wishes.start is not None:
                notes.append(_said(wishes.start, workflow))
            checkpoints = workflow.parser.get_parsed_content("checkpoints")
    except BaseException as error:
        ready.withdraw()
        told = way_on(error, bundle, datalist, batch_size)
        if told is None and wishes.start is not None:
            told = wishes.start.refusal(error, bundle)
        if told is not None:
            raise told from error
        note_way_on(error, bundle, datalist)
        raise
    return TrainingResult(
        bundle=bundle,
        best_metric=checkpoints.best_metric,
        best_epoch=checkpoints.best_epoch,
        keeps_last=checkpoints.keeps_last,
        epochs=trainer.state.epoch,
        seconds=time.perf_counter() - began,
        run_id=run_id,
        notes=tuple(notes),
        step_times=tuple(times.phases) if times is not None else (),
        epochs_before=ready.epochs_before,
    )


def _timed(workflow: ConfigWorkflow, bundle: Bundle) -> StepTimes:
    """Let the trainer's phases be timed, and the run be told of them."""
    parser = workflow.parser
    trainer, validator, checkpoints, recorder = (
        parser.get_parsed_content(name) if name in parser else None
        for name in ("train#trainer", "validate#evaluator", "checkpoints", "training_recorder")
    )
    times = StepTimes(bundle.root / "models", validator, checkpoints)
    times.attach(trainer)
    if recorder is not None:
        recorder.results["tables/step_times"] = str(times.path)
        recorder.at_end.append(lambda run: run.log_metrics(times.metrics, step=trainer.state.epoch if trainer else 0))
    return times


def _said(start: StartWeights, workflow: ConfigWorkflow) -> str:
    """What the training began with."""
    new = next((one for one in workflow.parser.get_parsed_content("initialize") if isinstance(one, list)), [])
    told = f"Began with the weights of {start.name}"
    return f"{told}; new: {', '.join(new)}." if new else f"{told}."


def _require_registrable(name: str | None, champion: bool, tracking: bool) -> None:
    """Raise InvalidOption if a model cannot be registered like that."""
    if champion and name is None:
        raise InvalidOption("--champion is an alias of a registered version: give its name with --register.")
    if name is not None and not tracking:
        raise InvalidOption("--register needs the MLflow run: leave out --no-tracking.")
    if name is not None and re.fullmatch(r"[^/:.%\"']{1,250}", name) is None:
        raise InvalidOption(f"MLflow takes no model of the name {name!r}: leave out / : . % and quotation marks.")
