"""How the training went: loss, validation scores and learning rate by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from markupsafe import Markup

from pipeline.report.chart import Axis, Chart, colour, ticks
from pipeline.report.choice import spread
from pipeline.report.page import number

__all__ = ["best_epoch", "duration", "training_curves"]

Rows = Sequence[Mapping[str, float]]

# More dots than this on one line hide it.
DOTS = 60


def best_epoch(history: Rows, score: str = "val_mean_dice") -> tuple[int, float] | None:
    """Epoch and value of the best validation, the first one of several; None without a validation."""
    known = [(row[score], -row["epoch"]) for row in history if math.isfinite(row.get(score, math.nan))]
    return (int(-max(known)[1]), max(known)[0]) if known else None


def training_curves(history: Rows, kept_epoch: int | None = None) -> list[tuple[str, Markup]]:
    """(caption, chart) of the loss, the scores and the learning rate, as far as they are recorded.

    Args:
        history: Rows of `history.csv`.
        kept_epoch: That the weights are of; None if that is not known, and then it is that of the best validation.
    """
    if not history:
        return []
    best = best_epoch(history)
    kept = f" The weights are those of epoch {best[0]}, the best validation." if best else ""
    if best is not None and kept_epoch not in (None, best[0]):
        kept = f" The weights are those of epoch {kept_epoch}; the best validation was that of epoch {best[0]}."
    charts = [
        ("Loss of training, mean over the batches of an epoch.", ["train_loss"], None),
        (
            f"Dice of the training batches as augmented, and of the validation cases.{kept}",
            _scores(history, "dice"),
            best,
        ),
        ("IoU of the validation cases.", _scores(history, "iou"), None),
        ("Learning rate at the beginning of each epoch.", ["learning_rate"], None),
    ]
    made = []
    for caption, names, mark in charts:
        there = [name for name in names if any(math.isfinite(row.get(name, math.nan)) for row in history)]
        if there:
            made.append((caption, _chart(history, there, mark)))
    return made


def duration(history: Rows) -> str:
    """How long the training took, in a sentence; "" if that is not recorded."""
    seconds = [row["seconds"] for row in history if math.isfinite(row.get("seconds", math.nan))]
    if not seconds:
        return ""
    minutes = sum(seconds) / 60
    whole = f"{max(1, round(minutes))} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"{len(seconds)} epochs in {whole}; half of them in {number(median(seconds))} s or less."


def _scores(history: Rows, kind: str) -> list[str]:
    """The columns of a score; that of the only class is left out, for it is the mean's."""
    names = [name for name in history[0] if name.startswith((f"train_mean_{kind}", f"val_mean_{kind}"))]
    return [name for name in names if not any(name.startswith(f"{o}_") and _same(history, name, o) for o in names)]


def _chart(history: Rows, names: Sequence[str], best: tuple[int, float] | None) -> Markup:
    epochs = [row["epoch"] for row in history]
    whole = [value for value in ticks(min(epochs), max(epochs), 6) if value == int(value)]
    x = Axis("epoch", min(epochs) - 0.5, max(epochs) + 0.5, whole)
    values = [row.get(name, math.nan) for row in history for name in names]
    scores = names[0] not in ("train_loss", "learning_rate")
    label = "score" if scores else names[0].replace("train_", "").replace("_", " ")
    chart = Chart(x, Axis.around(label, values, include=(1.0,) if scores else (0.0,)))
    if best:
        chart.rule(x=best[0], name=f"epoch {best[0]}: {best[1]:.3f}")
    for k, name in enumerate(names):
        points = [(row["epoch"], row[name]) for row in history if math.isfinite(row.get(name, math.nan))]
        title = _title(name) if len(names) > 1 else ""
        chart.line(points, colour(k), name=title, dash=name.startswith("train_mean"))
        tips = [(x, y, f"epoch {x:.0f}\n{_title(name)} {y:.4g}") for x, y in spread(points, DOTS)]
        chart.dots(tips, colour(k), shape=k)
    return chart.svg(f"{label} by epoch")


def _title(name: str) -> str:
    """A column for people; what follows the score's name is a class, and stays as it is."""
    for start, words in (("train_mean_", "training "), ("val_mean_", "validation ")):
        for score, written in (("dice", "Dice"), ("iou", "IoU")):
            if name.startswith(start + score):
                return f"{words}{written} {name[len(start + score) + 1 :]}".rstrip()
    return name.replace("_", " ")


def _same(history: Rows, name: str, other: str) -> bool:
    return name != other and all(
        row.get(name) == row.get(other) or math.isnan(row.get(name, math.nan)) for row in history
    )
