"""Trained on × tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.metrics import MEAN_OF_CLASSES
from pipeline.report.comparison import Entry, Group, knows_the_set, model_of
from pipeline.report.measures import MEASURES, Measure
from pipeline.report.score_tables import called, with_interval

__all__ = ["Cell", "Matrix", "MatrixTable", "matrix_of", "matrix_tables"]

SHOWN = ("dice", "nsd", "hd95")


@dataclass(frozen=True, eq=False)
class Matrix:
    """Models by data sets.

    Attributes:
        data: The columns: data sets.
        rows: Model, what it was trained on, and for each data set its evaluation or None.
    """

    data: list[str]
    rows: list[tuple[str, str, list[Entry | None]]]


@dataclass(frozen=True)
class Cell:
    """One figure of the matrix.

    Attributes:
        text: Mean with its interval.
        tip: What it is of.
        shade: 0 to 1, the mean; 0 where it is no share.
        own: Whether the model was trained on other cases of this set.
    """

    text: str
    tip: str
    shade: float
    own: bool


@dataclass(frozen=True)
class MatrixTable:
    """The matrix in one metric.

    Attributes:
        measure: The metric's name.
        data: The columns.
        rows: Model, what it was trained on, cells.
    """

    measure: str
    data: list[str]
    rows: list[tuple[str, str, list[Cell | None]]]


def matrix_of(groups: Sequence[Group]) -> Matrix | None:
    """Models by data sets; None if there is but one data set."""
    if len(groups) < 2:
        return None
    rows: dict[tuple[str, str], list[list[Entry | None]]] = {}
    for column, group in enumerate(groups):
        for entry in group.entries:
            of_model = rows.setdefault(model_of(entry), [])
            # One model may be there twice on one set, as with other settings of the inference.
            free = next((row for row in of_model if row[column] is None), None)
            if free is None:
                free = [None] * len(groups)
                of_model.append(free)
            free[column] = entry
    found = []
    for of_model in rows.values():
        for row in of_model:
            there = [entry for entry in row if entry is not None]
            name = there[0].view.bundle
            if len(of_model) > 1:
                name += f" ({', '.join(entry.view.folder.resolve().name for entry in there)})"
            found.append((name, there[0].view.trained_on, row))
    return Matrix([group.title for group in groups], found)


def matrix_tables(matrix: Matrix) -> list[MatrixTable]:
    """The matrix in Dice and, where they were measured, in surface Dice and the Hausdorff distance."""
    by_key = {measure.key: measure for measure in MEASURES}
    tables = []
    for measure in (by_key[key] for key in SHOWN):
        rows = [(name, trained, [_cell(measure, entry) for entry in row]) for name, trained, row in matrix.rows]
        if any(cell is not None for _, _, row in rows for cell in row):
            tables.append(MatrixTable(measure.label, matrix.data, rows))
    return tables


def _cell(measure: Measure, entry: Entry | None) -> Cell | None:
    if entry is None:
        return None
    label = MEAN_OF_CLASSES if len(entry.view.classes) > 1 else entry.view.classes[0]
    figures = entry.view.figures(label, measure)
    if figures.get("mean") is None:
        return None
    text = with_interval(measure, figures) + (f" {entry.view.unit}" if measure.has_unit else "")
    return Cell(
        text=text,
        tip=f"{entry.title}\n{called(label)}: {measure.label} {text}\n{entry.view.n_subjects} subjects",
        shade=0.0 if measure.has_unit else round(float(figures["mean"]), 4),
        own=knows_the_set(entry),
    )
