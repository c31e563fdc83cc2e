"""What `planar evaluate` left in its folder, as a page looks at it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from pipeline.errors import InvalidEvaluation, MissingFile
from pipeline.metrics import Evaluation, read_evaluation, volume_error
from pipeline.report.measures import MEASURES, Measure
from pipeline.report.privacy import without_folders

__all__ = ["EvaluationView", "short_names", "view_evaluation"]

NEEDED = ("image", "subject", "class", "dice")


@dataclass(frozen=True, eq=False)
class EvaluationView:
    """One evaluation.

    Attributes:
        files: The folder, read.
        gate: `gate.csv`, or None.
    """

    files: Evaluation
    gate: pd.DataFrame | None = None

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.files.folder

    @property
    def cases(self) -> pd.DataFrame:
        """`cases.csv`: one row an image and class."""
        return self.files.cases

    @property
    def record(self) -> dict[str, Any]:
        """`metrics.json`."""
        return self.files.record

    @property
    def bundle(self) -> str:
        """The bundle's name; the folder's, where the record does not say."""
        return str(self.record.get("bundle") or self.folder.resolve().name)

    @property
    def data(self) -> str:
        """Name of the data set."""
        return str(self.record.get("data") or "unnamed data")

    @property
    def split(self) -> str:
        """Part of the data set that was scored."""
        return str(self.record.get("split") or "")

    @property
    def trained_on(self) -> str:
        """What the bundle says that it was trained on; a folder of the machine it was trained on is left out."""
        if self.out_of_fold:
            return f"{self.data} (for each case the other folds)"
        return without_folders(str(self.record.get("trained_on") or ""))

    @property
    def out_of_fold(self) -> bool:
        """Whether a cross-validation has scored these cases, each by the network that is new to it."""
        return self.split == "out of fold"

    @property
    def summary(self) -> dict[str, Any]:
        """The figures by class; see `pipeline.metrics.summarise`."""
        summary: dict[str, Any] = self.record["summary"]
        return summary

    @property
    def unit(self) -> str:
        """Unit of the summary's distances: "mm", "px", or "" where none was measured."""
        return str(self.record.get("distance_unit") or "")

    @cached_property
    def classes(self) -> list[str]:
        """The foreground classes, in their order."""
        return [str(name) for name in self.cases["class"].unique()]

    @cached_property
    def measures(self) -> list[Measure]:
        """The metrics that were measured; Dice always, be it that a model is rightly silent on every image."""
        return [
            measure
            for measure in MEASURES
            if measure.key == "dice" or (measure.key in self.cases and self.cases[measure.key].notna().any())
        ]

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row an image: subject, mean Dice over its classes, mask; from the worst to the best, undefined last."""
        grouped = self.cases.groupby("image", sort=False)
        table = grouped.agg(subject=("subject", "first"), dice=("dice", "mean"))
        if "mask" in self.cases and (self.cases["mask"] != "").any():
            table["mask"] = grouped["mask"].first()
        return table.reset_index().sort_values(["dice", "image"], ignore_index=True)

    @cached_property
    def subjects(self) -> pd.DataFrame:
        """One row a subject and class: the mean of each metric over the images, the area error of them together.

        Distances are those in the summary's unit; with the other unit they would be neither.
        """
        cases = (
            self.cases.assign(size=self.cases["reference_pixels"]) if "reference_pixels" in self.cases else self.cases
        )
        keys = [measure.key for measure in self.measures]
        if "distance_unit" in cases:
            cases = cases.copy()
            lengths = [measure.key for measure in self.measures if measure.kind == "distance"]
            cases.loc[cases["distance_unit"] != self.unit, lengths] = float("nan")
        columns = [*keys, *(["size"] if "size" in cases else [])]
        table = cases.groupby(["subject", "class"], sort=False)[columns].mean()
        if "area_error" in keys:
            found = {name: volume_error(rows) for name, rows in cases.groupby("class", sort=False)}
            pooled = pd.concat(found, names=["class", "subject"]).reorder_levels(["subject", "class"])
            table["area_error"] = pooled.reindex(table.index).fillna(table["area_error"])
        return table.reset_index()

    def dice_of(self, image: str) -> list[float]:
        """The Dice of each class in one image, in the order of the classes; NaN where there is none."""
        rows = self.cases[self.cases["image"] == image].set_index("class")["dice"]
        return [float(rows[label]) for label in self.classes]

    def figures(self, label: str, measure: Measure, level: str = "per_subject") -> dict[str, Any]:
        """The figures of one metric of a class, or of "mean_of_classes"; empty where there are none."""
        found: dict[str, Any] = self.summary.get(label, {}).get(level, {}).get(measure.key, {})
        return found

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return int(self.cases["subject"].nunique())

    @cached_property
    def short(self) -> dict[str, str]:
        """Image → the shortest end of its path that no other image of the evaluation has."""
        return short_names([str(name) for name in self.images["image"]])


def view_evaluation(folder: str | os.PathLike[str], gate: Path | None = None) -> EvaluationView:
    """Read an evaluation folder.

    Args:
        folder: What `planar evaluate` has written.
        gate: A `gate.csv` that lies elsewhere.

    Raises:
        MissingFile: if it is not there or holds no evaluation.
        InvalidDatalist: if a file in it is damaged.
        InvalidEvaluation: if it lacks something that a page needs.
    """
    files = read_evaluation(folder)
    missing = [name for name in NEEDED if name not in files.cases]
    if missing or files.cases.empty:
        found = f"lacks the column {', '.join(missing)}" if missing else "has no rows"
        raise InvalidEvaluation(f"{files.folder / 'cases.csv'}: {found}. Run planar evaluate again.")
    twice = files.cases.duplicated(["image", "class"])
    if twice.any():
        raise InvalidEvaluation(
            f"{files.folder / 'cases.csv'}: {files.cases.loc[twice, 'image'].iloc[0]} is there twice; expected one row "
            "an image and class. Run planar evaluate again."
        )
    summary = files.record.get("summary", {})
    for name in files.cases["class"].unique():
        if "dice" not in summary.get(name, {}).get("per_subject", {}):
            raise InvalidEvaluation(
                f"{files.folder / 'metrics.json'}: has no figures of {name}, which cases.csv scores. Run planar "
                "evaluate again."
            )
    return EvaluationView(files, _gate(gate or files.folder / "gate.csv", set(files.cases["image"]), gate is not None))


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Each path → the shortest end of it, in whole parts, that no other path has."""
    parts = {path: PurePosixPath(path.replace("\\", "/")).parts for path in paths}
    short: dict[str, str] = {}
    left, depth = [*parts], 1
    while left:
        ends: dict[tuple[str, ...], list[str]] = {}
        for path in left:
            ends.setdefault(parts[path][-depth:], []).append(path)
        left = []
        for end, same in ends.items():
            if len(same) == 1 or all(len(parts[path]) <= depth for path in same):
                short |= {path: "/".join(end) for path in same}
            else:
                left += same
        depth += 1
    return short


def _gate(path: Path, images: set[str], wanted: bool) -> pd.DataFrame | None:
    """The gate's decisions; None if there are none and nobody asked for them."""
    if not path.is_file() and not wanted:
        return None
    needed = ("image", "predicted_dice", "decision")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if any(name not in table for name in needed):
            raise ValueError(f"expected the columns {', '.join(needed)}")
        for name in ("predicted_dice", "score"):
            if name in table:
                table[name] = pd.to_numeric(table[name].where(table[name] != ""))
    except FileNotFoundError:
        raise MissingFile(f"{path} is not there; expected the table of planar calibrate --check.") from None
    except ValueError as error:
        raise InvalidEvaluation(f"{path}: cannot be read ({str(error).splitlines()[0]}). Make it again.") from error
    if not images & set(table["image"]):
        raise InvalidEvaluation(
            f"{path}: judges none of the {len(images)} images that were scored; expected the same datalist and split."
        )
    return table
