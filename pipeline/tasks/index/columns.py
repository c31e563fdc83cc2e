"""A column of a CSV table, by the file that each row is about."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InvalidOption, MissingFile
from pipeline.tasks.index.names import SUFFIX, case_name
from pipeline.tasks.index.pairing import Pair

__all__ = ["Column", "read_column"]


@dataclass(frozen=True)
class Column:
    """A column of a CSV file by the file that each row is about.

    Args:
        described: File and column, for messages.
        values: Value by file name, with suffix and without; "" where rows of several folders share a file name.
        written: `FILE.csv:COLUMN@FILECOLUMN`, with the column of the files that was taken.
    """

    described: str
    values: dict[str, str]
    written: str = ""

    def of(self, pair: Pair) -> str | None:
        """The value for a case; None if there is no row for it or the cell is empty."""
        return next((self.values[name] for name in names_of(pair) if self.values.get(name)), None)


def names_of(pair: Pair) -> tuple[str, ...]:
    """What a row may call a case: the path below the folder first, then the bare file name with and without suffix.

    In one Unicode form, as `read_table` has them.
    """
    file = unicodedata.normalize("NFC", os.path.basename(pair.image))  # noqa: PTH119
    return unicodedata.normalize("NFC", pair.name), file, case_name(file)


def read_column(text: str, pairs: Sequence[Pair]) -> Column:
    """Read `FILE.csv:COLUMN` or `FILE.csv:COLUMN@FILECOLUMN`.

    Without FILECOLUMN, rows are matched by the column that names most of the images, COLUMN aside. Numbers may name
    images by chance: of two columns that name as many, the one with suffixes is taken, then the one with fewer repeats.

    Raises:
        MissingFile: if the file is not there.
        InvalidOption: if a column is not there, none or several may be that of the files, or two rows disagree about
            one.
    """
    path, colon, columns = text.rpartition(":")
    column, _, file_column = unicodedata.normalize("NFC", columns).partition("@")
    if not colon or not path or not column:
        raise InvalidOption(f"{text!r} names no column. Write FILE.csv:COLUMN, e.g. index.csv:patient.")
    header, rows = read_table(path)
    for name in filter(None, (column, file_column)):
        if name not in header:
            raise InvalidOption(f"{path} has no column '{name}'. Its columns are {', '.join(header)}.")
    file_column = file_column or _file_column(path, header, rows, column, pairs)
    values = values_by_name(path, rows, column, file_column)
    return Column(f"column '{column}' of {path}", values, f"{path}:{column}@{file_column}")


def _file_column(
    path: str, header: Sequence[str], rows: Sequence[dict[str, str]], column: str, pairs: Sequence[Pair]
) -> str:
    """The column that names the images.

    Raises: InvalidOption: if none does, or if several do and nothing tells them apart.
    """
    images = {name: pair.name for pair in pairs for name in names_of(pair)}
    named = {
        name: [next((images[spelt] for spelt in spellings(row[name]) if spelt in images), None) for row in rows]
        for name in header
    }
    others = [name for name in header if name != column and any(named[name])] or [
        name for name in header if any(named[name])
    ]
    if not others:
        raise InvalidOption(
            f"No column of {path} ({', '.join(header)}) names the images ({min(images, default='-')} …). "
            "Name it: FILE.csv:COLUMN@FILECOLUMN."
        )

    def suffixed(name: str) -> int:
        return sum(
            bool(image and SUFFIX.search(row[name].strip())) for row, image in zip(rows, named[name], strict=True)
        )

    rank = {name: (len({*named[name]} - {None}), suffixed(name), len({row[name] for row in rows})) for name in others}
    best = max(others, key=rank.__getitem__)
    # Columns that name the same image in each row, such as that of the masks, are one choice.
    rivals = [
        name
        for name in others
        if named[name] != named[best] and (rank[name] == rank[best] or (rank[name][1] and not rank[best][1]))
    ]
    if rivals:
        raise InvalidOption(
            f"Several columns of {path} name images: {', '.join([best, *rivals])}. Say which one is that of the files: "
            f"{path}:{column}@{best}, or @{rivals[0]}."
        )
    return best


def values_by_name(path: str, rows: Sequence[dict[str, str]], column: str, file_column: str) -> dict[str, str]:
    """The cells of a column by every spelling of the file in their row.

    Raises: InvalidOption: if two rows for the same file disagree.
    """
    written: dict[str, str] = {}
    shortened: dict[str, str] = {}
    for row in rows:
        file, value = row[file_column].strip().replace("\\", "/"), row[column].strip()
        if file and written.setdefault(file, value) != value:
            raise InvalidOption(
                f"{path} has two rows for '{file}' that disagree in '{column}'. Files were looked up in the column "
                f"'{file_column}': correct the table, or name another column of files, {path}:{column}@FILECOLUMN."
            )
        for name in spellings(file)[1:]:
            if shortened.setdefault(name, value) != value:
                shortened[name] = ""
    return {**shortened, **written}


def read_table(path: str) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a CSV file, whichever of , ; and tab divides it, in one Unicode form.

    A table that was made on a Mac writes "ü" as two characters, and names no file that writes it as one.
    """
    try:
        text = unicodedata.normalize("NFC", Path(path).read_text(encoding="utf-8-sig"))
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
