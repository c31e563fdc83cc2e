"""The figures of a model card or a checklist in whatever words: its tables, and each Dice that it tells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["FigureDifferences", "compare_figures"]

DICE = re.compile(r"Dice:? \**(\d\.\d{2,})")
SIZE = re.compile(r"(\d+) images? of (\d+) subjects?")


@dataclass
class FigureDifferences:
    """What a comparison of two documents came to.

    Attributes:
        compared: Cells of tables that were compared.
        wrong: What differs.
        missing: Tables that one of the two documents has and the other has not.
    """

    compared: int = 0
    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def compare_figures(text: str, expected: str, *, tables: bool = True) -> FigureDifferences:
    """Compare a document with the one that is written of the record now.

    Tables are known by the heading above them, rows by their first cell and columns by their headings; so other words
    around them make no difference. In sentences each Dice is looked for, wherever it stands.

    Args:
        text: The document, in Markdown.
        expected: What it would be now.
        tables: Whether its tables are of figures: those of a checklist are of words.
    """
    found = FigureDifferences()
    if tables:
        _compare_tables(text, expected, found)
    for what, pattern in (("Dice", DICE), ("images of subjects", SIZE)):
        for one in sorted({*pattern.findall(text)} - {*pattern.findall(expected)}):
            said = one if isinstance(one, str) else " of ".join(one)
            found.wrong.append(f"{what}: {said}, which the record does not give")
    return found


def _compare_tables(text: str, expected: str, found: FigureDifferences) -> None:
    here, there = _tables(text), _tables(expected)
    for place, cells in there.items():
        own = here.get(place, {})
        if not cells.keys() <= own.keys():
            found.missing.append(place[0])
        for key in cells.keys() & own.keys():
            found.compared += 1
            if cells[key] != own[key]:
                row, column = key
                found.wrong.append(f"{place[0]}: {column} of {row} is {own[key]}, by the record {cells[key]}")
        for row, column in sorted(own.keys() - cells.keys()):
            if column in {one for _, one in cells}:
                found.wrong.append(f"{place[0]}: the record has no {row}, of which {column} is {own[row, column]}")
    found.missing += [f"{place[0]} (a table more)" for place in sorted(here.keys() - there.keys())]


def _tables(text: str) -> dict[tuple[str, str], dict[tuple[str, str], str]]:
    """By the heading above a table and its first column's name with its second's: cells by row and column."""
    found: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    above, columns, place = "", [""], ("", "")
    for line in text.splitlines():
        if line.startswith("#"):
            above = line.lstrip("# ").strip()
        if not line.startswith("|"):
            columns = [""]
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if columns == [""]:
            columns, place = cells, (above, "|".join(cells[:2]))
            found.setdefault(place, {})
        elif set("".join(cells)) - set("-: "):
            for column, cell in zip(columns[1:], cells[1:], strict=False):
                found[place][cells[0], column] = cell
    return found
