"""Train a bundle on a datalist: the bundle's own train config, filled in, recorded and watched."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.bundle import Bundle, apply_settings, copy_bundle, find_bundle, parse_overrides, without_mirroring
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidBundle, InvalidOption, MissingFile
from pipeline.tasks.evaluate import compare_classes
from pipeline.tasks.workflow import default_folder, fitting_weights, open_workflow, quiet_libraries, run_recorded

__all__ = ["TrainingResult", "train"]

# What has an option of its own must not come a second time as KEY=VALUE.
SET_ELSEWHERE = {
    "bundle_root": "the argument BUNDLE",
    "datalist": "--data",
    "ckpt_dir": "-o, the weights are in its folder models",
    "resume": "--resume",
    "labels": "the datalist",
}


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
    settings: dict[str, Any] = parse_overrides(tuple(overrides), source.config("train"), SET_ELSEWHERE)
    for split in ("training", "validation"):
        load_cases(datalist, split)
    content = read_datalist(datalist)
    labels = dict(enumerate(content.labels))
    notes: list[str] = []
    made: list[Path] = []
    if resume:
        if out is not None and out.resolve() != source.root:
            raise InvalidOption("--resume continues in the training's own folder; leave out -o.")
        if not (source.root / "models" / "last.pt").is_file():
            raise MissingFile(
                f"{source.root / 'models' / 'last.pt'} is not there; expected the checkpoint of a training that was "
                "begun. Give that training's folder, or leave out --resume."
            )
        bundle = source
        notes += compare_classes(bundle, bundle.labels("train"), datalist)
        _require_epochs_left(bundle, settings)
    else:
        if labels != source.labels("train"):
            notes.append(f"The classes are the datalist's: {', '.join(labels.values())}.")
        trained_on = f"{content.name} ({len(content.training)} training cases)"
        folder = out or default_folder(source, "train")
        made = [] if folder.exists() else [folder.resolve()]
        mirroring = without_mirroring(source, labels)
        if mirroring:
            notes.append(
                "A class is a left or a right one: pictures are mirrored neither in training nor in inference."
            )
        bundle = copy_bundle(source, folder, labels, mirroring | settings, trained_on)
        made = [*bundle.root.iterdir(), bundle.root / "eval", *made]
    run_settings = settings | {"datalist": str(datalist.resolve())} | ({"resume": True} if resume else {})

    try:
        with quiet_libraries():
            hooks = [*handlers, _WhenStarted(lambda: apply_settings(bundle, settings))] if resume else [*handlers]
            workflow = open_workflow(
                bundle, "train", run_settings, tracking=tracking, handlers={"train#handlers": hooks}
            )
            with fitting_weights(bundle.root / "models" / "last.pt", bundle.config("train")):
                run_id = run_recorded(workflow, "training_recorder")
            trainer = workflow.parser.get_parsed_content("train#trainer")
            checkpoints = workflow.parser.get_parsed_content("checkpoints")
    except BaseException:
        if not resume:
            _remove_unless_begun(bundle, made)
        raise
    return TrainingResult(
        bundle=bundle,
        best_metric=checkpoints.best_metric,
        best_epoch=checkpoints.best_epoch,
        epochs=trainer.state.epoch,
        seconds=time.perf_counter() - began,
        run_id=run_id,
        notes=tuple(notes),
    )


class _WhenStarted:
    """Handler that does something once the checkpoint has been loaded.

    A training that is resumed with other settings writes them into its configs, so that these go on describing it and
    evaluation and inference agree with it; not before it is clear that the checkpoint goes with them.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def attach(self, engine: Any) -> None:
        """Attach to the trainer, behind the handler that loads."""
        from ignite.engine import Events

        engine.add_event_handler(Events.STARTED, lambda _: self.action())


def _require_epochs_left(bundle: Bundle, settings: dict[str, Any]) -> None:
    """Raise InvalidOption if the training to resume has had all its epochs."""
    import torch

    path = bundle.root / "models" / "last.pt"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["trainer"]
        done = state["iteration"] // state["epoch_length"]
    except OSError:
        raise
    except Exception as error:
        raise InvalidBundle(
            f"{path}: is no checkpoint of a training, or is damaged. Begin again in another folder."
        ) from error
    config = yaml.safe_load(bundle.config("train").read_text(encoding="utf-8"))
    wanted = settings.get("max_epochs", config.get("max_epochs"))
    if isinstance(wanted, int) and done >= wanted:
        raise InvalidOption(
            f"{bundle.root}: has been trained for {done} epochs and max_epochs is {wanted}: nothing is left to do. "
            f"To train on, give more: --resume max_epochs={2 * done}."
        )


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
