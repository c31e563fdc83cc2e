"""What lies in an evaluation's folder; without pandas, which asking for it does not need."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import OutputExists

__all__ = ["RESULT_FILES", "require_no_results"]

# In the order in which they appear: where metrics.json is, all the rest is.
# The page is `planar report`'s, but of these figures: it goes with them.
RESULT_FILES = ("report.html", "masks", "gate.csv", "cases.csv", "confusion.csv", "calibration.csv", "metrics.json")


def require_no_results(folder: Path) -> None:
    """Raise OutputExists if an evaluation's files are in the folder already."""
    there = [name for name in RESULT_FILES if (folder / name).exists()]
    if there:
        raise OutputExists(
            f"{folder} holds an evaluation already ({', '.join(there)}). Give --overwrite (overwrite: true in "
            "evaluate.yaml) to replace it, or another folder with -o."
        )
