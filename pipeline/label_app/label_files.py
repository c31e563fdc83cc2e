"""Labels on disk: a mask for each image and tag, saved once, the newest wins, and who saved it when.

    labels/final/<image>.png        what people drew; .nii.gz for volumes
    labels/original/<image>.png     what models proposed
    labels/journal.jsonl            each saving: image, tag, digest, annotator, time

A saving is two lines of the journal; between them the mask, which is there already, takes its name. A server that dies
between them has lost nothing: the next one finds the mask, and the first line says whose it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.datalist import pixel_digest
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption
from pipeline.label_app.journal import Journal
from pipeline.readers import Picture, read_picture, write_mask

__all__ = ["FINAL", "ORIGINAL", "LabelFiles", "SavedLabel"]

FINAL, ORIGINAL = "final", "original"
SUFFIXES = (".nii.gz", ".png")
# Of a mask that has not got its name yet.
ASIDE = ".new-"


@dataclass(frozen=True)
class SavedLabel:
    """A label as it was saved.

    Attributes:
        image: Id of the image.
        tag: "final", "original" or another.
        file: In the folder of labels.
        sha256: Digest of its class indices in display orientation.
        saved: When, UTC, ISO 8601.
        annotator: Who, as the client says; "" if it does not.
        names: Value → name of what is drawn, as the client says; empty if it does not.
        info: What else the client said.
        archived: SOPInstanceUID of the DICOM SEG that holds it, or "".
        file_sha256: Of the file's bytes.
    """

    image: str
    tag: str
    file: str
    sha256: str
    saved: str
    annotator: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    archived: str = ""
    file_sha256: str = ""

    @property
    def seconds(self) -> int:
        """When, in seconds since 1970."""
        return int(datetime.fromisoformat(self.saved).timestamp())


class LabelFiles:
    """The labels of a set of images.

    Args:
        folder: Where they are; made when one is saved.
        writable: Whether this process may take up what another left unfinished.
    """

    def __init__(self, folder: Path, *, writable: bool = True) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.jsonl")
        self._known: dict[tuple[str, str], SavedLabel] = {}
        self._open: dict[tuple[str, str], SavedLabel] = {}
        self._removed: dict[tuple[str, str], SavedLabel] = {}
        self._stamp: tuple[int, int] | None = None
        if writable and folder.is_dir():
            self._take_up()

    def of(self, image: str, tag: str = FINAL) -> SavedLabel | None:
        """The newest label of an image, or None."""
        return self._current().get((image, tag))

    def tags(self, image: str) -> list[str]:
        """The tags that an image has labels for."""
        return [tag for name, tag in self._current() if name == image]

    def images(self, tag: str = FINAL) -> list[str]:
        """The images with such a label."""
        return [name for name, other in self._current() if other == tag]

    def pairs(self) -> list[tuple[str, str]]:
        """Image and tag of each label."""
        return list(self._current())

    def removed(self, image: str, tag: str = FINAL) -> SavedLabel | None:
        """The label of an image that was removed last, or None; an archive may hold it still."""
        self._current()
        return self._removed.get((image, tag))

    def path(self, label: SavedLabel) -> Path:
        """The mask's file."""
        return self.folder / label.file

    def save(
        self,
        image: str,
        tag: str,
        mask: NDArray[Any],
        picture: Picture,
        *,
        annotator: str = "",
        names: Mapping[str, str] | None = None,
        info: Mapping[str, Any] | None = None,
        archive: Callable[[SavedLabel], str] | None = None,
    ) -> SavedLabel:
        """Save a mask; the one that was there before is replaced.

        What is the newest already is not saved a second time, so that a client which got no answer can send again.

        Args:
            image: Id of the image.
            tag: Such as "final".
            mask: Class indices in display orientation, (W, H[, D]).
            picture: The image, for the grid.
            annotator: Who drew it.
            names: Value → name of what is drawn.
            info: What else the client said.
            archive: Sends the label to an archive, and says the identifier that it has there. What it raises ends the
                saving, and the former label stays.

        Raises:
            GeometryMismatch: if the mask does not have the image's size.
            InvalidOption: for a tag that is no name.
        """
        require_name(tag)
        digest = pixel_digest(mask)
        with self.journal.locked():
            before = self.of(image, tag)
            unfinished = self._open.get((image, tag))
            names, info = dict(names or {}), dict(info or {})
            same = before is not None and (before.sha256, dict(before.names)) == (digest, names)
            if before is not None and same and unfinished is None and self._is_there(before):
                return before
            suffix = ".png" if picture.depth == 1 and picture.source_format != "NIfTI" else ".nii.gz"
            label = SavedLabel(image, tag, f"{tag}/{image}{suffix}", digest, _now(), annotator, names, info)
            if unfinished is not None and (unfinished.sha256, dict(unfinished.names)) == (digest, names):
                label = unfinished  # with its time, from which the identifiers in the archive are made
            aside = self.path(label).with_name(f"{ASIDE}{image}{suffix}")
            write_mask(mask, picture, aside)
            try:
                label = replace(label, file_sha256=file_sha256(aside))
                self._add("saving", label)
                if archive is not None:
                    label = replace(label, archived=archive(label))
                aside.replace(self.path(label))
            finally:
                aside.unlink(missing_ok=True)
            for other in SUFFIXES:
                if other != suffix:
                    (self.folder / f"{tag}/{image}{other}").unlink(missing_ok=True)
            self._add("saved", label)
            return label

    def keep(self, label: SavedLabel, mask: NDArray[Any], picture: Picture) -> None:
        """Keep a copy of a label that an archive holds."""
        with self.journal.locked():
            self._current()
            begun = self._open.get((label.image, label.tag))
            if begun is not None and begun.saved == label.saved:
                label = replace(begun, archived=label.archived)
            write_mask(mask, picture, self.path(label))
            self._add("saved", label)

    def remove(self, image: str, tag: str) -> bool:
        """Remove a label; whether there was one."""
        with self.journal.locked():
            label = self.of(image, tag)
            if label is None:
                return False
            self._add("removed", label)
            self.path(label).unlink(missing_ok=True)
            return True

    def _add(self, event: str, label: SavedLabel) -> None:
        self.journal.add({"event": event, **asdict(label)})

    def _is_there(self, label: SavedLabel) -> bool:
        return self.path(label).is_file()

    def _current(self) -> dict[tuple[str, str], SavedLabel]:
        stamp = self.journal.stamp()
        if stamp != self._stamp:
            known: dict[tuple[str, str], SavedLabel] = {}
            unfinished: dict[tuple[str, str], SavedLabel] = {}
            removed: dict[tuple[str, str], SavedLabel] = {}
            for event in self.journal.read():
                kind = event.pop("event", "")
                label = SavedLabel(**event)
                key = (label.image, label.tag)
                if kind == "saving":
                    unfinished[key] = label
                    continue
                unfinished.pop(key, None)
                known.pop(key, None)
                if kind == "saved":
                    known[key] = label
                elif kind == "removed":
                    removed[key] = label
            self._known, self._open, self._removed, self._stamp = known, unfinished, removed, stamp
        return self._known

    def _take_up(self) -> None:
        """Finish what a process that was killed has begun, and take masks that someone put into the folder."""
        with self.journal.locked():
            for part in (*self.folder.glob(f"*/{ASIDE}*"), *self.folder.glob("*/.part-*")):
                part.unlink(missing_ok=True)
            self._current()
            for unfinished in list(self._open.values()):
                file = self.path(unfinished)
                if file.is_file() and file_sha256(file) == unfinished.file_sha256:
                    self._add("saved", unfinished)
            known = self._current()
            for file in sorted(self.folder.glob("*/*")):
                suffix = next((end for end in SUFFIXES if file.name.endswith(end)), None)
                if suffix is None or file.name.startswith(".") or not file.is_file():
                    continue
                tag, image = file.parent.name, file.name[: -len(suffix)]
                if (image, tag) not in known:
                    digest = pixel_digest(read_picture(file, labels=True).array)
                    when = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat()
                    self._add("saved", SavedLabel(image, tag, f"{tag}/{file.name}", digest, when))


def require_name(tag: str) -> None:
    """Raise InvalidOption unless a tag can be a folder."""
    if not tag or not tag.replace("-", "").replace("_", "").isalnum() or not tag.isascii() or len(tag) > 64:
        raise InvalidOption(f"{tag[:64]!r} is no tag of labels: expected a word, such as final.")


def _now() -> str:
    # Microseconds: of two savings within one second the later one is the newest.
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds")
