"""The files of an evaluation: written all together or not at all, and read again as they were."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline import __version__
from pipeline.errors import InvalidDatalist, MissingFile
from pipeline.metrics.bootstrap import LEVEL, RESAMPLES, SEED, interval_rule
from pipeline.metrics.calibration import CALIBRATION_RULE
from pipeline.metrics.definitions import EMPTY_MASK_POLICY, METRICS
from pipeline.metrics.result_files import RESULT_FILES, require_no_results
from pipeline.metrics.summary import AGGREGATION, distance_unit, summarise

if TYPE_CHECKING:
    from pipeline.metrics.tally import Tally

__all__ = ["Evaluation", "read_evaluation", "write_evaluation"]

# Columns that are words, whatever they look like: a keyed hash may read as a number, a class may be called "None".
WORDS = ("image", "image_sha256", "subject", "class", "distance_unit", "mask")


@dataclass(frozen=True)
class Evaluation:
    """An evaluation's folder, read.

    Attributes:
        folder: Where it is.
        cases: `cases.csv`; empty cells of numbers are NaN, of words "".
        record: `metrics.json`.
        confusion: `confusion.csv`, reference class by row, predicted class by column.
        calibration: `calibration.csv`, or None if it was not measured.
    """

    folder: Path
    cases: pd.DataFrame
    record: dict[str, Any]
    confusion: pd.DataFrame
    calibration: pd.DataFrame | None


def write_evaluation(
    folder: Path,
    tally: Tally,
    about: Mapping[str, Any] | None = None,
    *,
    masks: Path | None = None,
    overwrite: bool = False,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Write `cases.csv`, `metrics.json`, `confusion.csv`, `calibration.csv`, and move the masks to their place.

    Args:
        folder: Where; made if missing.
        tally: The scores of all cases.
        about: "bundle", "checkpoint_sha256", "data", "split", "trained_on", as far as they are known.
        masks: The folder that holds the predicted masks for now, on the same disk; it becomes `folder/masks`.
        overwrite: Whether to replace an evaluation; all of its files go, also those that this one does not have.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        level: Of the intervals.
    Returns: The content of `metrics.json`.

    Raises:
        InvalidDatalist: if there was no case.
        OutputExists: as `require_no_results`, unless `overwrite`.
    """
    if not tally.rows:
        raise InvalidDatalist("There was no case to score. Choose a split that has cases.")
    if not overwrite:
        require_no_results(folder)
    record = _record(tally, dict(about or {}), resamples, seed, level)
    cases = tally.cases()
    texts = {
        "cases.csv": cases.to_csv(index=False, float_format="%.6f", lineterminator="\n"),
        "confusion.csv": _confusion_csv(tally),
        "metrics.json": json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    if record["calibration"] is not None:
        texts["calibration.csv"] = _calibration_csv(tally)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".part-{os.getpid()}-tables"
    try:
        aside.mkdir(exist_ok=True)
        for name, text in texts.items():
            (aside / name).write_text(text, encoding="utf-8", newline="\n")
        for name in reversed(RESULT_FILES):
            _remove(folder / name)
        for name in RESULT_FILES:
            if name == "masks" and masks is not None:
                masks.replace(folder / name)
            elif name in texts:
                (aside / name).replace(folder / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return record


def read_evaluation(folder: str | os.PathLike[str]) -> Evaluation:
    """Read an evaluation's folder.

    Raises:
        MissingFile: if it is not there or holds no evaluation.
        InvalidDatalist: if a file in it is damaged.
    """
    root = Path(folder)
    try:
        record = json.loads((root / "metrics.json").read_text(encoding="utf-8"))
        cases = pd.read_csv(
            root / "cases.csv",
            dtype=dict.fromkeys(WORDS, str),
            keep_default_na=False,
            na_values={name: [""] for name in METRICS},
        )
        confusion = pd.read_csv(root / "confusion.csv", index_col=0, dtype={"reference": str}, keep_default_na=False)
        table = root / "calibration.csv"
        calibration = pd.read_csv(table) if table.is_file() else None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFile(
            f"{root}: {Path(str(error.filename)).name} is not there; expected an evaluation's folder. Make one with "
            "planar evaluate BUNDLE --data datalist.json -o FOLDER."
        ) from None
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InvalidDatalist(f"{root}: its tables cannot be read ({reason}). Run planar evaluate again.") from error
    return Evaluation(root, cases, record, confusion, calibration)


def _record(tally: Tally, about: dict[str, Any], resamples: int, seed: int, level: float) -> dict[str, Any]:
    cases = tally.cases()
    unit, left_out = distance_unit(cases)
    measured = bool(tally.reliability.pixels.sum())
    notes = []
    if left_out:
        n = len(tally.images) - left_out
        notes.append(
            f"The spacing is known of some images only: distances in the summary are in {unit}, over the {n} of "
            f"{len(tally.images)} images that have them in it."
        )
    tolerance = tally.tolerance
    return {
        "summary": summarise(cases, resamples=resamples, seed=seed, level=level),
        "n_cases": int(cases["image"].nunique()),
        "n_subjects": int(cases["subject"].nunique()),
        **{key: about.get(key) for key in ("bundle", "checkpoint_sha256", "data", "split", "trained_on")},
        "classes": list(tally.labels.values()),
        "distance_unit": unit,
        "metrics": {
            name: {"title": metric.title, "unit": metric.unit(unit), "better": metric.better, "rule": metric.rule}
            for name, metric in METRICS.items()
        },
        "rules": {
            "empty_masks": EMPTY_MASK_POLICY,
            "aggregation": AGGREGATION,
            "intervals": interval_rule(resamples, seed, level),
            "units": "Overlap, surface Dice and calibration: shares of 1. Distances and areas: mm and mm² where the "
            "image's spacing is known, else pixels; the column distance_unit says which.",
            "tolerance": f"Surface Dice: {tolerance.mm:g} mm where the spacing is known, else {tolerance.px:g} px.",
            "calibration": CALIBRATION_RULE if measured else "Not measured: the config gives no `probabilities`.",
            "confusion": "Pixels of all images, so that large images count more; reference by row.",
        },
        "bootstrap": {"resamples": resamples, "seed": seed, "level": level, "unit": "subject"},
        "nsd_tolerance": {"mm": tolerance.mm, "px": tolerance.px},
        "versions": {
            "planar": __version__,
            **{package: version(package) for package in ("monai", "torch", "numpy", "scipy")},
            "python": platform.python_version(),
        },
        "calibration": {"ece": round(tally.reliability.ece(), 6), "bins": _bins(tally)} if measured else None,
        "notes": notes,
        "faults": tally.faults,
        # By way of pandas, which writes null where a metric is undefined: NaN is not JSON.
        "cases": json.loads(cases.to_json(orient="records", double_precision=6)),
    }


def _bins(tally: Tally) -> list[dict[str, Any]]:
    return [
        {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
        for row in tally.reliability.rows()
    ]


def _confusion_csv(tally: Tally) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(tally.labels.values())
    writer.writerow(["reference", *names])
    writer.writerows([name, *counts] for name, counts in zip(names, tally.confusion.tolist(), strict=True))
    return text.getvalue()


def _calibration_csv(tally: Tally) -> str:
    return pd.DataFrame(_bins(tally)).to_csv(index=False, lineterminator="\n")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
