"""A column of a CSV table, by the file that each row is about."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InvalidOption, MissingFile
from pipeline.tasks.index.names import case_name
from pipeline.tasks.index.pairing import Pair

__all__ = ["Column", "read_column"]


@dataclass(frozen=True)
class Column:
    """A column of a CSV file by the file that each row is about.

    Args:
        described: File and column, for messages.
        values: Value by file name, with suffix and without; "" where rows of several folders share a file name.
    """

    described: str
    values: dict[str, str]

    def of(self, pair: Pair) -> str | None:
        """The value for a case; None if there is no row for it or the cell is empty."""
        return next((self.values[name] for name in names_of(pair) if self.values.get(name)), None)


def names_of(pair: Pair) -> tuple[str, ...]:
    """What a row may call a case: the path below the folder first, then the bare file name with and without suffix."""
    file = os.path.basename(pair.image)  # noqa: PTH119
    return pair.name, file, case_name(file)


def read_column(text: str, pairs: Sequence[Pair]) -> Column:
    """Read `FILE.csv:COLUMN` or `FILE.csv:COLUMN@FILECOLUMN`.

    Without FILECOLUMN, rows are matched by the column that names most of the images.

    Raises:
        MissingFile: if the file is not there.
        InvalidOption: if a column is not there, no column names the images, or two rows disagree about one.
    """
    path, colon, columns = text.rpartition(":")
    column, _, file_column = columns.partition("@")
    if not colon or not path or not column:
        raise InvalidOption(f"{text!r} names no column. Write FILE.csv:COLUMN, e.g. index.csv:patient.")
    header, rows = read_table(path)
    for name in filter(None, (column, file_column)):
        if name not in header:
            raise InvalidOption(f"{path} has no column '{name}'. Its columns are {', '.join(header)}.")
    wanted = {name for pair in pairs for name in names_of(pair)}
    if not file_column:
        hits = Counter({name: sum(bool(wanted & set(spellings(row[name]))) for row in rows) for name in header})
        file_column, best = max(hits.items(), key=lambda entry: entry[1], default=("", 0))
        if not best:
            raise InvalidOption(
                f"No column of {path} ({', '.join(header)}) names the images ({min(wanted, default='-')} …). "
                "Name it: FILE.csv:COLUMN@FILECOLUMN."
            )
    return Column(f"column '{column}' of {path}", values_by_name(path, rows, column, file_column))


def values_by_name(path: str, rows: Sequence[dict[str, str]], column: str, file_column: str) -> dict[str, str]:
    """The cells of a column by every spelling of the file in their row.

    Raises: InvalidOption: if two rows for the same file disagree.
    """
    written: dict[str, str] = {}
    shortened: dict[str, str] = {}
    for row in rows:
        file, value = row[file_column].strip().replace("\\", "/"), row[column].strip()
        if file and written.setdefault(file, value) != value:
            raise InvalidOption(f"{path} has two rows for '{file}' that disagree in '{column}'. Correct the table.")
        for name in spellings(file)[1:]:
            if shortened.setdefault(name, value) != value:
                shortened[name] = ""
    return {**shortened, **written}


def read_table(path: str) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a CSV file, whichever of , ; and tab divides it."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingFile(f"{path}: no such table.") from None
    except UnicodeDecodeError:
        raise InvalidOption(f"{path} is no UTF-8 text. Save the table as CSV in UTF-8.") from None
    first = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=first.count), restval="")
    return list(reader.fieldnames or ()), list(reader)


def spellings(cell: str) -> tuple[str, ...]:
    """The names that a cell may stand for: as written, its last part, and both without suffix."""
    whole = cell.strip().replace("\\", "/")
    last = whole.rpartition("/")[2]
    return tuple(dict.fromkeys(name for name in (whole, last, case_name(whole), case_name(last)) if name))
