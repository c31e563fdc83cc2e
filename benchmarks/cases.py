"""The cases of a datalist under plain names, with their pixels as every peer gets them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.datalist import load_cases, read_datalist, subject_of
from pipeline.errors import GeometryMismatch, InvalidDatalist, MissingFile
from pipeline.readers import Picture, read_mask, read_picture, write_mask
from pipeline.split import PARTS

__all__ = ["Case", "cases_of", "mask_path", "read_saved", "save_mask"]


@dataclass(frozen=True)
class Case:
    """One picture with its reference.

    Attributes:
        name: "case_0000", numbered through the datalist: any tool takes it as a file name, and it tells nothing.
        part: "training", "validation" or "test".
        image: Absolute path, maybe with `#slice=K`.
        shown: The path as the datalist writes it.
        subject: Whose picture it is.
        labels: Absolute paths of the mask files.
        coding: How their values mean classes.
        n_classes: Classes with the background.
        image_sha256: Digest of the pixels, or "".
    """

    name: str
    part: str
    image: str
    shown: str
    subject: str
    labels: tuple[str, ...]
    coding: str
    n_classes: int
    image_sha256: str = ""

    def picture(self) -> Picture:
        """The decoded picture, in display orientation, in the type that holds its values exactly."""
        return read_picture(self.image)

    def reference(self) -> npt.NDArray[np.uint8]:
        """Class indices on the picture's grid, (W, H).

        Raises:
            GeometryMismatch: if the mask is not of the picture's size.
            UnknownLabel: if its values do not fit the coding.
        """
        classes = read_mask(self.labels, self.coding, self.n_classes)
        expected = self.picture().grid.display_shape
        if classes.shape != expected:
            sizes = ("×".join(map(str, shape)) for shape in (classes.shape, expected))
            raise GeometryMismatch("{}: the mask is {}, its image {}. Index the set again.".format(self.shown, *sizes))
        return classes


def cases_of(datalist: Path, parts: Iterable[str] = PARTS) -> list[Case]:
    """The cases of some parts of a datalist, in its order.

    Raises: InvalidDatalist, MissingFile: as `load_cases`; InvalidDatalist if a picture consists of several files.
    """
    content = read_datalist(datalist)
    wanted = tuple(parts)
    found: list[Case] = []
    number = 0
    for part in PARTS:
        items = content.part(part)
        if part in wanted:
            for offset, (item, whole) in enumerate(zip(items, load_cases(datalist, part), strict=True)):
                if not isinstance(whole["image"], str):
                    raise InvalidDatalist(f"{datalist}: a case of several images ({whole['image'][0]}); expected one.")
                label = whole["label"]
                found.append(
                    Case(
                        name=f"case_{number + offset:04d}",
                        part=part,
                        image=whole["image"],
                        shown=str(item["image"]),
                        subject=subject_of(item),
                        labels=tuple(label) if isinstance(label, list) else (label,),
                        coding=str(item.get("label_coding", "index")),
                        n_classes=len(content.labels),
                        image_sha256=str(item.get("image_sha256", "")),
                    )
                )
        number += len(items)
    return found


def mask_path(folder: Path, case: Case) -> Path:
    """Where a peer's mask of a case is kept: class indices on the source grid."""
    return folder / f"{case.name}.png"


def save_mask(mask: npt.NDArray[np.integer[Any]], case: Case, folder: Path) -> Path:
    """Write a mask in display orientation back on the source grid.

    Raises: GeometryMismatch: if it does not have the picture's size.
    """
    path = mask_path(folder, case)
    write_mask(mask, case.picture(), path)
    return path


def read_saved(case: Case, folder: Path) -> npt.NDArray[np.uint8]:
    """A saved mask in display orientation, (W, H).

    Raises: MissingFile: if the peer has left the case out.
    """
    path = mask_path(folder, case)
    if not path.is_file():
        raise MissingFile(f"{path} is not there; expected a mask of {case.shown}. Predict again.")
    return read_picture(path, labels=True).array.astype(np.uint8)
