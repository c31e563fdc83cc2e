"""Training and scoring one fold, or as much of it as is left to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING, Any

from pipeline.bundle import OF_THE_MACHINE, Bundle
from pipeline.bundle.overrides import split_key
from pipeline.datalist import read_datalist
from pipeline.errors import InvalidDatalist, OutputExists
from pipeline.history import read_history
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.folds.record import FoldsRecord, FoldState, read_state, write_state
from pipeline.tasks.lock import held
from pipeline.tasks.resuming import Progress, progress_of
from pipeline.tasks.train import train

if TYPE_CHECKING:
    from pipeline.tracking import ParentRun

__all__ = ["Handlers", "do_fold"]

# Given a fold and "training" or "scoring": Ignite handlers for it.
Handlers = Callable[[int, str], Sequence[object]]
TABLES = ("cases.csv", "metrics.json")


def do_fold(
    record: FoldsRecord,
    fold: int,
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    parent: ParentRun | None = None,
    handlers: Handlers = lambda fold, stage: (),
    may_go_on: bool = False,
) -> FoldState:
    """Train a fold and score its own cases on their own grids.

    Args:
        record: The cross-validation.
        fold: Which.
        settings: Overrides given now: those that say how and where a run is recorded, and those of the machine.
        config: The train config of the cross-validation's bundle.
        parent: The MLflow run over those of the folds.
        handlers: For the trainer and the evaluator.
        may_go_on: Whether a fold that was begun is gone on with, rather than refused.

    Raises:
        InvalidOption: if another process is at it.
        OutputExists: if it was begun and may not go on.
    """
    with held(record.root / f".fold{fold}.lock", str(record.folder(fold))):
        state = read_state(record, fold)
        folder = record.folder(fold)
        if state is not None and state.out_of_fold is not None and (folder / "eval" / "metrics.json").is_file():
            return state
        if parent is not None:
            parent.end_left_open(fold)
        if state is None:
            state = _train(record, fold, settings, config, parent, handlers, may_go_on)
            write_state(record, state)
        result = evaluate(
            str(folder),
            record.datalist(fold),
            "validation",
            folder / "eval",
            overwrite=True,  # what a killed process left
            tracking=False,
            handlers=handlers(fold, "scoring"),
        )
        dice = {name: part["per_image"]["dice"]["mean"] for name, part in result.summary.items()}
        state = replace(state, out_of_fold=dice)
        if parent is not None:
            values = {f"out_of_fold_dice_{name}": value for name, value in dice.items() if value is not None}
            tables = {f"tables/{name}": str(folder / "eval" / name) for name in TABLES}
            parent.note_fold(fold, values | {"best_val_mean_dice": state.best_metric}, state.run_id, tables)
        write_state(record, state)
    return state


def _train(
    record: FoldsRecord,
    fold: int,
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    parent: ParentRun | None,
    handlers: Handlers,
    may_go_on: bool,
) -> FoldState:
    folder = record.folder(fold)
    bundle = Bundle(folder, folder.name)
    begun = (folder / "models" / "last.pt").is_file()
    if begun and not may_go_on:
        again = f"planar train --resume {quote(str(record.root))} --fold {fold}"
        raise OutputExists(f"{folder} was begun. Go on with: {again}")
    seconds, run_id = _seconds_behind(bundle) if begun else 0.0, None
    if begun and _has_ended(bundle, config):
        done = progress_of(bundle)
    else:
        if not begun:
            shutil.rmtree(folder, ignore_errors=True)  # what a killed process left before its first checkpoint
        # The others stand in the configs already.
        own = {key: v for key, v in settings.items() if split_key(key)[0] not in config or key in OF_THE_MACHINE}
        if parent is not None:
            own["run_name"] = f"{own.get('run_name') or record.bundle} fold {fold}"
        result = train(
            str(folder if begun else record.root / "bundle"),
            record.datalist(fold),
            None if begun else folder,
            [f"{key}={json.dumps(value)}" for key, value in own.items()],
            resume=begun,
            tracking=parent is not None,
            handlers=handlers(fold, "training"),
            tags=parent.child_tags(fold) if parent is not None else None,
        )
        done = Progress(result.epochs, result.best_metric, result.best_epoch)
        seconds, run_id = seconds + result.seconds, result.run_id
    if not done.best_epoch:
        raise InvalidDatalist(
            f"{record.datalist(fold)}: no validation of this fold had a score, as if its masks were all empty. Use "
            "fewer folds, or look at the masks."
        )
    content = read_datalist(record.datalist(fold))
    return FoldState(
        fold=fold,
        training_cases=len(content.training),
        validation_cases=len(content.validation),
        epochs=done.epochs,
        best_metric=done.best_metric,
        best_epoch=done.best_epoch,
        seconds=seconds,
        run_id=run_id,
    )


def _seconds_behind(bundle: Bundle) -> float:
    """What the epochs of a fold that was stopped have taken; starting anew is no part of it."""
    history = bundle.root / "models" / "history.csv"
    rows = read_history(history) if history.is_file() else []
    return sum(row["seconds"] for row in rows if row.get("seconds", 0.0) > 0)


def _has_ended(bundle: Bundle, config: Mapping[str, Any]) -> bool:
    """Whether a training has had all its epochs or its patience, and was stopped before this was written down."""
    done = progress_of(bundle)
    epochs, patience, interval = (config.get(key) for key in ("max_epochs", "patience", "val_interval"))
    if isinstance(epochs, int) and done.epochs >= epochs:
        return True
    validated = isinstance(interval, int) and done.epochs % interval == 0
    return isinstance(patience, int) and validated and done.epochs - done.best_epoch >= patience
