"""Images of a folder: pictures, volumes and DICOM series, labels beside them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text_aside, written_aside
from pipeline.errors import InvalidOption, MissingFile, PlanarError
from pipeline.label_app.image_book import Known, ids_of, read_book, written_book
from pipeline.label_app.images import LabelledImages
from pipeline.label_app.label_files import LabelFiles
from pipeline.label_app.views import suffixes
from pipeline.readers import SUFFIXES, DicomSeries, find_pictures, group_series, slices_in
from pipeline.tasks.index.names import case_name
from pipeline.tasks.infer.naming import output_names
from pipeline.tasks.infer.sources import Source

__all__ = ["FolderOfImages"]

LABELS = "labels"
TABLE = "index.csv"


class FolderOfImages(LabelledImages):
    """The images below a folder.

    An image keeps its id for good, in `labels/images.json`: the label of `a.png` stays its own when an `a.jpg` comes,
    and that of a series when another one comes into its folder.

    Args:
        folder: Where the images are; its `labels` is for labels.
        cache: Folder for what can be made again.
        classes: Class index → name, by which labels are numbered.
        writable: Whether this process may take up what another left unfinished.
    Raises: MissingFile: if the folder is not there.
    """

    def __init__(
        self, folder: Path, cache: Path, classes: Mapping[int, str] | None = None, *, writable: bool = True
    ) -> None:
        if not folder.is_dir():
            raise MissingFile(f"{folder}: no such folder of images.")
        super().__init__(folder.name, LabelFiles(folder / LABELS, writable=writable), cache, classes or {})
        self.folder = folder
        self._writable = writable
        self._lock = threading.RLock()
        self._sources: dict[str, Source] = {}
        self._seen: dict[str, int] | None = None
        self.refused: dict[str, str] = {}

    def list_images(self) -> list[str]:
        """The ids of all images, in natural order of their files."""
        self.refresh()
        return list(self._sources)

    def source(self, image_id: str) -> Source:
        """The image itself.

        Raises: MissingFile: if there is none of this id.
        """
        if image_id not in self._sources:
            self.refresh()
        if image_id not in self._sources:
            raise MissingFile(f"There is no image '{image_id[:80]}' here. Ask for the list of images again.")
        return self._sources[image_id]

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Take an image that a client sent.

        Raises: InvalidOption: if it is no picture, or its id is no file name or has been given.
        """
        ending = suffixes(image_filename)
        name = image_id or Path(image_filename).name[: -len(ending) or None]
        if ending not in SUFFIXES:
            raise InvalidOption(f"{ending or 'A file without a suffix'} is no picture that can be read.")
        if Path(name).name != name or name.startswith("."):
            raise InvalidOption(f"{name[:80]!r} is no name for an image.")
        with self._lock:
            target = self.folder / f"{name}{ending}"
            if target.exists() or name in self.list_images():
                raise InvalidOption(f"There is an image '{name}' already.")
            with written_aside(target) as aside:
                shutil.copyfile(image_filename, aside)
            self.refresh()
        return next(key for key, source in self._sources.items() if source.path == target)

    def subject_table(self) -> Path | None:
        """`index.csv` beside the images, or beside their folder, as public sets and the phantom have it."""
        places = (self.folder / TABLE, self.folder.parent / TABLE)
        return next((place for place in places if place.is_file()), None)

    def places(self, image_id: str) -> list[str]:
        """Its path below the folder of images, and below the folder that this lies in."""
        inside = case_name(self.source(image_id).path.relative_to(self.folder).as_posix())
        return [inside, f"{self.folder.absolute().name}/{inside}"]

    def refresh(self) -> None:
        """Look for images, if a folder has changed since the last time."""
        with self._lock:
            seen = {root: Path(root).stat().st_mtime_ns for root in self._folders()}
            if seen != self._seen:
                self._look()
                self._seen = seen

    def _folders(self) -> list[str]:
        found = []
        for root, folders, _ in os.walk(self.folder):
            found.append(root)
            top = root == str(self.folder)
            folders[:] = [name for name in folders if not name.startswith(".") and not (top and name == LABELS)]
        return found

    def _look(self) -> None:
        try:
            files = find_pictures([self.folder])
        except MissingFile:
            files = []
        own = self.folder / LABELS
        found: list[tuple[Path, list[str], DicomSeries | None]] = []
        self.refused = {}
        for entry in group_series(file for file in files if not Path(file).is_relative_to(own)):
            if isinstance(entry, DicomSeries):
                found.append((Path(entry.folder), list(entry.files), entry))
                continue
            try:
                found.append((Path(entry), slices_in(entry), None))
            except (PlanarError, OSError) as error:
                self.refused[entry] = str(error)
        placed = [(_place(path, series, found), slices, series) for path, slices, series in found]
        ids = self._ids(placed)
        self._sources = {
            name: Source(path, slices, series, name) for name, (path, slices, series) in zip(ids, placed, strict=True)
        }

    def _ids(self, found: Sequence[tuple[Path, list[str], DicomSeries | None]]) -> list[str]:
        book = self.labels.folder / "images.json"
        given = read_book(book)
        known = [self._known(path, series) for path, _, series in found]
        names = output_names([path for path, _, _ in found], [str(self.folder)])

        def fits(name: str, number: int) -> bool:
            series = found[number][2]
            return series is not None and self._has_label_like(name, series)

        ids = ids_of(known, [name.replace("/", "--") for name in names], given, fits)
        now = {**given, **{name: replace(one, folder="") for name, one in zip(ids, known, strict=True)}}
        if self._writable and now != given:
            with suppress(PermissionError):  # labels cannot be saved either, and saving says so
                write_text_aside(book, written_book(now))
        return ids

    def _known(self, path: Path, series: DicomSeries | None) -> Known:
        inside = path.relative_to(self.folder).as_posix()
        if series is None:
            return Known(inside)
        return Known(inside, _uid_of(series), Path(series.folder).relative_to(self.folder).as_posix())

    def _has_label_like(self, name: str, series: DicomSeries) -> bool:
        import nibabel as nib

        for label in filter(None, (self.labels.of(name, tag) for tag in self.labels.tags(name))):
            with suppress(OSError, ValueError, nib.filebasedimages.ImageFileError):
                if tuple(nib.load(self.labels.path(label)).shape) == tuple(series.grid.shape):
                    return True
        return False


def _uid_of(series: DicomSeries) -> str:
    from pipeline.readers.dicom import dataset_of

    ds = dataset_of(series.files[0], stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    return str(ds.get("SeriesInstanceUID") or "")


def _place(path: Path, series: DicomSeries | None, found: Sequence[tuple[Path, Any, Any]]) -> Path:
    """Where an image is: of several series in one folder the first files."""
    alone = series is None or sum(other == path for other, _, _ in found) == 1
    return path if alone or series is None else Path(series.files[0])
