"""Tables of an inference that has begun in the results of others: their rows stay."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path

__all__ = ["with_rows_of_others"]


def with_rows_of_others(text: str, path: Path, names: Collection[str]) -> str:
    """A table, and in front of its rows those that another one has of other sources.

    Args:
        text: CSV with a header; the first column is the source.
        path: The other one, if it is there; one with another header counts as none.
        names: The sources of this table, with rows or without.
    """
    if not path.is_file():
        return text
    header, *rows = csv.reader(io.StringIO(text))
    with path.open(newline="", encoding="utf-8") as file:
        earlier = list(csv.reader(file))
    if not earlier or earlier[0] != header:
        return text
    out = io.StringIO()
    kept = (row for row in earlier[1:] if row and row[0] not in names)
    csv.writer(out, lineterminator="\n").writerows([header, *kept, *rows])
    return out.getvalue()
