"""Train a bundle on a datalist: the bundle's own train config, filled in, recorded and watched."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle import (
    Bundle,
    Recipe,
    apply_settings,
    copy_bundle,
    find_bundle,
    find_recipe,
    parse_overrides,
    single_network,
    without_mirroring,
)
from pipeline.datalist import load_cases, read_datalist
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption
from pipeline.step_times import PhaseTime, StepTimes
from pipeline.tasks.evaluate import compare_classes
from pipeline.tasks.resuming import (
    WhenStarted,
    note_data,
    require_checkpoint,
    require_epochs_left,
    require_free,
    require_idle,
    require_same_data,
    training_in,
)
from pipeline.tasks.start_weights import StartWeights, find_start
from pipeline.tasks.workflow import default_folder, fitting_weights, open_workflow, quiet_libraries, run_recorded

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
        seconds: Duration, s.
        run_id: MLflow run, or None without tracking.
        notes: What the user should know.
        step_times: Where the time went, if it was asked for.
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
    """
    began = time.perf_counter()
    _require_registrable(register_as, champion, tracking)
    source = find_bundle(name_or_path)
    by = _recipe(recipe, resume)
    start = _start(start_from, resume)
    settings: dict[str, Any] = parse_overrides(
        tuple(overrides), source.config("train"), SET_ELSEWHERE, also=by.keys if by is not None else ()
    )
    for split in ("training", "validation"):
        load_cases(datalist, split)
    content = read_datalist(datalist)
    labels = dict(enumerate(content.labels))
    notes: list[str] = []
    made: list[Path] = []
    if resume:
        if out is not None and out.resolve() != source.root:
            raise InvalidOption("--resume continues in the training's own folder; leave out -o.")
        require_checkpoint(source)
        require_idle(source)
        on_loading()
        bundle = source
        notes += compare_classes(bundle, bundle.labels("train"), datalist)
        require_epochs_left(bundle, settings)
        require_same_data(bundle, content, datalist)
    else:
        if labels != source.labels("train"):
            notes.append(f"The classes are the datalist's: {', '.join(labels.values())}.")
        trained_on = f"{content.name} ({len(content.training)} training cases)"
        folder = out or default_folder(source, "train")
        require_free(folder)
        on_loading()
        made = [] if folder.exists() else [folder.resolve()]
        mirroring = without_mirroring(source, labels, by)
        if mirroring:
            notes.append(
                "A class is a left or a right one: pictures are mirrored neither in training nor in inference."
            )
        if by is not None:
            notes.append(f"Trained by the recipe {by.name}, not by the bundle's own settings.")
            tags = {"planar.recipe": by.name, "planar.recipe_sha256": file_sha256(by.path), **(tags or {})}
        network = single_network(source) if by is None or "network_def" not in by.keys else {}
        bundle = copy_bundle(source, folder, labels, network | mirroring | settings, trained_on, by)
        note_data(bundle, content)
        if start is not None:
            start.put_into(bundle)
            tags = {**start.tags, **(tags or {})}
        made = [*bundle.root.iterdir(), bundle.root / "eval", *made]
    run_settings = settings | {"datalist": str(datalist.resolve())} | ({"resume": True} if resume else {})
    if register_as is not None:
        run_settings |= {"register_as": register_as, "champion": champion}

    try:
        with training_in(bundle), quiet_libraries():
            hooks = [*handlers, WhenStarted(lambda: apply_settings(bundle, settings))] if resume else [*handlers]
            workflow = open_workflow(
                bundle, "train", run_settings, tracking=tracking, handlers={"train#handlers": hooks}
            )
            times = _timed(workflow, bundle) if profile else None
            with fitting_weights(bundle.root / "models" / "last.pt", bundle.config("train")):
                run_id = run_recorded(workflow, "training_recorder", notes, tags)
            trainer = workflow.parser.get_parsed_content("train#trainer")
            if start is not None:
                notes.append(_said(start, workflow))
            checkpoints = workflow.parser.get_parsed_content("checkpoints")
    except BaseException:
        if not resume:
            _remove_unless_begun(bundle, made)
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


def _recipe(name_or_path: str | None, resume: bool) -> Recipe | None:
    """The recipe that was asked for."""
    if name_or_path is None:
        return None
    if resume:
        raise InvalidOption("--resume goes on by the training's own configs, which have its recipe: drop --recipe.")
    return find_recipe(name_or_path)


def _start(name_or_path: str | None, resume: bool) -> StartWeights | None:
    """The weights to begin with that were asked for."""
    if name_or_path is None:
        return None
    if resume:
        raise InvalidOption("--resume goes on with the training's own weights: drop --start-from.")
    return find_start(name_or_path)


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


def _remove_unless_begun(bundle: Bundle, made: list[Path]) -> None:
    """Remove the copy of a training that ended before its first checkpoint, so that the command can be given again.

    Args:
        bundle: The copy.
        made: What this call brought there, and no more: the folder may be the working folder, with the runs in it.
    """
    if any((bundle.root / "models").glob("*.pt")):
        return
    for path in made:
        if path == bundle.root:
            with suppress(OSError):  # something else is in it
                path.rmdir()
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
