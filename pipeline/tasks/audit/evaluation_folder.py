"""The tables of an evaluation that was recorded, as `planar evaluate` has left them in its folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd

from pipeline.errors import PlanarError
from pipeline.report.card_facts import ScoredRun
from pipeline.report.evaluation import view_evaluation
from pipeline.tasks.audit.case_tables import CASES, SUMMARY
from pipeline.tracking import RunFacts

__all__ = ["lay_out", "scored_run"]

OTHERS = ("tables/confusion.csv", "tables/calibration.csv")


def lay_out(run: RunFacts, folder: Path) -> Path | None:
    """Write the recorded tables into a folder that pages and cards are made of; None if they are not whole.

    A case is called by its pseudonym where an evaluation's folder has the image's name. There are no masks.
    """
    if not {CASES, SUMMARY, OTHERS[0]} <= set(run.files):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for path in OTHERS:
        if path in run.files:
            shutil.copyfile(run.fetch(path), folder / Path(path).name)
    try:
        cases = pd.read_csv(run.fetch(CASES), dtype=str, keep_default_na=False)
        record = json.loads(run.fetch(SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if "image" not in cases and "case" in cases:
        cases = cases.rename(columns={"case": "image"})
    cases.drop(columns=[name for name in ("mask", "mask_sha256") if name in cases]).to_csv(
        folder / "cases.csv", index=False, lineterminator="\n"
    )
    rows = [{"image": row.get("case"), **row} for row in record.get("cases", ())]
    (folder / "metrics.json").write_text(json.dumps({**record, "cases": rows}), encoding="utf-8")
    return folder


def scored_run(run: RunFacts, folder: Path) -> ScoredRun | None:
    """A recorded evaluation with its tables; None if they are not whole.

    Args:
        run: The evaluation.
        folder: Where the tables are laid out.
    """
    laid = lay_out(run, folder)
    if laid is None:
        return None
    try:
        return ScoredRun(run, view_evaluation(laid))
    except PlanarError:
        return None
