"""Whose an image is: what a table says, else the DICOM PatientID, else each image is a subject of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InvalidOption
from pipeline.readers import Picture
from pipeline.tasks.index.columns import Column, names_of, read_column, read_table, spellings
from pipeline.tasks.index.pairing import Pair

if TYPE_CHECKING:
    from pipeline.label_app.images import LabelledImages

__all__ = ["COLUMNS", "Subjects", "subjects_of"]

# Of a table that nobody has named, the first there is.
COLUMNS = ("subject", "patient", "subject_id", "patient_id", "patientid")


@dataclass(frozen=True)
class Subjects:
    """The subjects of images.

    Args:
        images: The images.
        column: Of a table; None if there is none that names them.
        unclear: Images whose file name the table has, without saying which of several rows is theirs, or with an empty
            cell.
        table: Name of the table, for messages.
    """

    images: LabelledImages
    column: Column | None = None
    unclear: Sequence[str] = field(default=())
    table: str = ""

    def of(self, image: str, picture: Picture) -> str:
        """The subject of an image."""
        return _subject(self.images, image, self.column) or picture.subject_id or image

    @property
    def told_by(self) -> str:
        """Where subjects come from, and how many images a table leaves unclear: these may be divided wrongly."""
        told = self.column.described if self.column is not None else "PatientID, else the file"
        if not self.unclear:
            return told
        return (
            f"{told}; {self.table} does not say whose {len(self.unclear)} image{'s' * (len(self.unclear) != 1)} "
            "are whose names it has: name each by its path below the folder of images"
        )


def subjects_of(images: LabelledImages, labelled: Sequence[str], said: str | None) -> Subjects:
    """The subjects by the column that is named, else by one of `COLUMNS` in the table beside the images.

    Args:
        images: The images.
        labelled: Ids of those that count.
        said: `FILE.csv:COLUMN`, as `planar index --subjects` has it.
    Raises: InvalidOption, MissingFile: for a table that is named and cannot be used.
    """
    pairs = [pair for image in labelled for pair in _pairs(images, image)]
    if said:
        found = read_column(said, pairs)
        # Clients are told of it: the table's name and not where it lies.
        file, _, name = said.rpartition(":")
        return _by_column(images, labelled, found, name, Path(file).name)
    table = images.subject_table()
    if table is None:
        return Subjects(images)
    header, rows = read_table(str(table))
    by_name = {name.strip().lower(): name for name in reversed(header)}
    column = next((by_name[name] for name in COLUMNS if name in by_name), None)
    if column is None:
        return Subjects(images)
    try:
        found = read_column(f"{table}:{column}", pairs)
    except InvalidOption:
        # It names none of these images, being a table of something else, or it cannot be told which row is whose.
        written = {name for row in rows for cell in row.values() for name in spellings(cell or "")}
        return Subjects(images, None, [one for one in labelled if _names(images, one) & written], table.name)
    return _by_column(images, labelled, found, column, table.name)


def _by_column(images: LabelledImages, labelled: Sequence[str], found: Column, name: str, table: str) -> Subjects:
    unclear = [
        image
        for image in labelled
        if _subject(images, image, found) is None and _names(images, image) & found.values.keys()
    ]
    return Subjects(images, replace(found, described=f"column {name} of {table}"), unclear, table)


def _subject(images: LabelledImages, image: str, column: Column | None) -> str | None:
    if column is None:
        return None
    return next((value for pair in _pairs(images, image) if (value := column.of(pair))), None)


def _names(images: LabelledImages, image: str) -> set[str]:
    return {name for pair in _pairs(images, image) for name in names_of(pair)}


def _pairs(images: LabelledImages, image: str) -> list[Pair]:
    """An image under each path that a table may write: by its id alone, which has no folders, no row would be found."""
    file = str(images.source(image).path)
    return [Pair(place, file, ()) for place in images.places(image)]
