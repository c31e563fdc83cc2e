"""Films whose masks are known, as a folder of images that an annotator has not seen yet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.cases import Case
from pipeline.atomic import written_aside
from pipeline.errors import InvalidDatalist
from pipeline.label_app.folder import FolderOfImages
from pipeline.label_app.label_files import FINAL

__all__ = ["Pool"]

TABLE = "index.csv"


@dataclass(frozen=True)
class Pool:
    """The films that may be labelled.

    Attributes:
        cases: They, with their masks.
        labels: Class index → name.
        folder: For masks as an annotator would send them, made once.
    """

    cases: Sequence[Case]
    labels: dict[int, str]
    folder: Path

    def opened(self, folder: Path, labelled: Iterable[str]) -> FolderOfImages:
        """The films as the labelling app has them, some of them with labels.

        Args:
            folder: For links to the films, the table of their subjects, and the labels; new.
            labelled: Names of those that have labels.
        """
        studies = folder / "studies"
        studies.mkdir(parents=True)
        with (studies / TABLE).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["file", "subject"])
            for case in self.cases:
                name = f"{case.name}{Path(case.image).suffix}"
                (studies / name).symlink_to(case.image)
                table.writerow([name, case.subject])
        images = FolderOfImages(studies, folder / "cache")
        missing = {case.name for case in self.cases} - set(images.list_images())
        if missing:
            raise InvalidDatalist(
                f"{len(missing)} films cannot be labelled, first {min(missing)}; expected single pictures."
            )
        for name in labelled:
            self.annotate(images, name)
        return images

    def annotate(self, images: FolderOfImages, name: str) -> None:
        """Save the film's own mask as its label, as an annotator would who makes no mistakes."""
        path = self.folder / f"{name}.png"
        if not path.is_file():
            case = next(case for case in self.cases if case.name == name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(path) as aside:
                Image.fromarray(np.ascontiguousarray(case.reference().T)).save(aside, format="PNG")
        named = [{"name": label, "idx": index} for index, label in self.labels.items() if index]
        images.save_label(name, str(path), FINAL, {"label_info": named})
