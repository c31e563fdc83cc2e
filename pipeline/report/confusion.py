"""The pixel confusion matrix as shaded cells."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.report.measures import share
from pipeline.report.page import number

__all__ = ["Cell", "confusion_rows"]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        shade: Share of its row, 0 to 1.
        text: The share as text.
        count: The pixels as text.
        tip: Both in words.
    """

    shade: float
    text: str
    count: str
    tip: str


def confusion_rows(confusion: pd.DataFrame) -> list[tuple[str, list[Cell]]]:
    """A row a reference class, a cell a predicted class; shares are of the row, so that small classes are seen.

    Args:
        confusion: Pixels by reference class (rows) and predicted class (columns).
    """
    rows = []
    for name, counts in confusion.iterrows():
        total = int(counts.sum())
        cells = [
            Cell(
                shade=round(int(count) / total, 4) if total else 0.0,
                text=share(int(count) / total if total else None),
                count=number(int(count)),
                tip=f"Of {number(total)} pixels of {name}, {number(int(count))} are predicted as {predicted}.",
            )
            for predicted, count in counts.items()
        ]
        rows.append((str(name), cells))
    return rows
