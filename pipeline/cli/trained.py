"""What `planar train` says when a training, or the folds, have ended."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.tasks.folds import CrossValidation, FoldState
    from pipeline.tasks.train import TrainingResult

__all__ = ["fold_line", "say_folds", "say_training"]

# A mean Dice below this says that the network marks nothing, or something else.
NOTHING = 0.01
FOUND_NOTHING = (
    "in validation the network found hardly anything of what the masks mark. Train longer, look at the masks with "
    "planar inspect, or try other settings before you use these weights."
)


def say_training(result: TrainingResult, datalist: Path, register_as: str | None, champion: bool) -> int:
    """A training's end, and the command that comes next; 1 if there are no best weights, else 0."""
    folder = _shown(result.bundle.root)
    new = result.epochs - result.epochs_before
    told = f"Trained {new} epoch{'s' * (new != 1)} in {result.seconds / 60:.1f} min"
    if result.epochs_before:
        told += f", {result.epochs} with those before"
    if result.best_epoch:
        which = "last" if result.keeps_last else "best"
        click.echo(f"{told}; {which} validation Dice {result.best_metric:.4f} at epoch {result.best_epoch}.")
        click.echo(f"Bundle:  {folder}  (weights in models/model.pt)")
        if result.best_metric < NOTHING:
            click.echo(f"Warning: {FOUND_NOTHING}", err=True)
    else:
        click.echo(
            f"{told}, but never validated: there are no best weights. Train for at least val_interval epochs: "
            f"planar train {quote(str(folder))} --data {quote(str(datalist))} --resume max_epochs=…",
            err=True,
        )
    _say_run(result.run_id)
    if not result.best_epoch:
        return 1
    if register_as is not None:
        click.echo(f"Model:   {register_as}{', its champion' if champion else ''}, with the run")
    scored = f"{quote(str(folder))} --data {quote(str(datalist))} --split {_part_to_score(datalist)}"
    click.echo(f"Next:    planar evaluate {scored}")
    return 0


def _part_to_score(datalist: Path) -> str:
    """The test part, where there is one; else there is the validation part alone."""
    from pipeline.datalist import read_datalist

    return "test" if read_datalist(datalist).test else "validation"


def say_folds(result: CrossValidation) -> int:
    """What the folds came to, or how many are left; the exit status."""
    for note in result.notes:
        click.echo(f"Note: {note}")
    folder = _shown(result.record.root)
    poor = [str(state.fold) for state in result.states if state.best_metric < NOTHING]
    if poor:
        click.echo(f"Warning: fold {', '.join(poor)}: {FOUND_NOTHING}", err=True)
    if result.table is None:
        left = result.record.folds - sum(state.out_of_fold is not None for state in result.states)
        again = f"planar train --resume {quote(str(folder))}"
        click.echo(f"Folds:   {folder}; {left} of {result.record.folds} are left: {again}")
    else:
        table = result.table
        click.echo(f"Out of fold: {table.cases} images of {table.subjects} subjects. Mean over images [over subjects]")
        for name, part in table.summary.items():
            if name == "mean_of_classes" and len(table.summary) == 2:
                continue
            image, subject = (part[over]["dice"]["mean"] for over in ("per_image", "per_subject"))
            if image is not None:
                click.echo(f"  {name.replace('_', ' '):<18} Dice {image:.4f}  [{subject:.4f}]")
        click.echo(f"Tables:  {folder / 'cases.csv'}, {folder / 'metrics.json'}")
    _say_run(result.run_id)
    if result.table is not None:
        click.echo(f"Next:    planar find-best {quote(str(folder))} -o {quote(f'bundles/{result.record.bundle}_cv')}")
    return 0


def fold_line(state: FoldState) -> str:
    """One fold that has been trained."""
    dice = state.mean_dice
    scored = f"; out of fold Dice {dice:.4f} at full size" if dice is not None else ""
    return (
        f"Fold {state.fold}: {state.training_cases} images to train, {state.validation_cases} of its own; "
        f"validation Dice {state.best_metric:.4f} at epoch {state.best_epoch} of {state.epochs}{scored} "
        f"({state.seconds / 60:.1f} min)"
    )


def _say_run(run_id: str | None) -> None:
    if run_id:
        from pipeline.cli.where import mlflow_hint

        click.echo(f"MLflow:  run {run_id}; {mlflow_hint()}")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
