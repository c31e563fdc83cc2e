"""The calibration of an evaluation: the table and the block of `metrics.json`, with each other and computed again."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.tasks.audit.differences import Differences
from pipeline.tasks.audit.tolerance import AuditTolerance

__all__ = ["CALIBRATION", "calibration_differs", "compare_calibration"]

CALIBRATION = "tables/calibration.csv"
CELLS = ("bin_low", "bin_high", "pixels", "confidence", "accuracy")
# Written with six decimals.
ROUNDING = 2e-6


def calibration_differs(block: Any, table: Path | None) -> Iterator[str]:
    """Whether the recorded block, its bins and the recorded table say the same.

    Args:
        block: "calibration" of `metrics.json`; None where it was not measured.
        table: `calibration.csv`; None where there is none.
    """
    if block is None:
        if table is not None:
            yield f"{CALIBRATION} is there, and no calibration was measured"
        return
    bins = block["bins"]
    if table is not None:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        if len(rows) != len(bins):
            yield f"{CALIBRATION} has {len(rows)} bins, the summary {len(bins)}"
        for number, (row, cells) in enumerate(zip(rows, bins, strict=False), 1):
            for name in CELLS:
                if not _same(_number(row[name]), _number(cells[name])):
                    yield f"{CALIBRATION}: {name} of bin {number} is {row[name]}, in the summary {cells[name]}"
    expected = _ece(bins)
    if not _same(expected, _number(block["ece"])):
        yield f"calibration.ece is {block['ece']}, its bins give {expected:.6f}"


def compare_calibration(before: Any, after: Any, tolerance: AuditTolerance, found: Differences) -> None:
    """The recorded block and the one of now.

    Where a bin has as many pixels as it had, its accuracy and confidence are compared as they are. Where another
    processor has moved pixels, what the bin adds to the whole is: of a few pixels the accuracy says nothing.
    """
    if before is None or after is None:
        found.note(before is None and after is None, "calibration: measured then or now alone")
        return
    was, now = _number(before["ece"]), _number(after["ece"])
    found.note(tolerance.allows(was, now, distance=False), f"calibration.ece: {was:.6f} → {now:.6f}")
    old, new = before["bins"], after["bins"]
    found.note(len(old) == len(new), f"calibration: {len(old)} → {len(new)} bins")
    whole = [max(sum(int(one["pixels"]) for one in bins), 1) for bins in (old, new)]
    for number, (one, other) in enumerate(zip(old, new, strict=False), 1):
        pixels = int(one["pixels"]), int(other["pixels"])
        share = [count / total for count, total in zip(pixels, whole, strict=True)]
        where = f"of the calibration's bin {number}"
        found.note(tolerance.allows(*share, distance=False), f"pixels {where}: {pixels[0]} → {pixels[1]}")
        for name in ("confidence", "accuracy"):
            then, again = _number(one[name]), _number(other[name])
            if pixels[0] == pixels[1]:
                same = tolerance.allows(then, again, distance=False)
            else:
                weighed = [
                    part * (0.0 if math.isnan(value) else value)
                    for part, value in zip(share, (then, again), strict=True)
                ]
                same = 0.0 <= (0.0 if math.isnan(then) else then) <= 1.0 and tolerance.allows(*weighed, distance=False)
            found.note(same, f"{name} {where}: {then:.6f} → {again:.6f}")


def _ece(bins: Sequence[Mapping[str, Any]]) -> float:
    """The mean over pixels of |accuracy − confidence|; see `pipeline.metrics.calibration`."""
    total = sum(int(one["pixels"]) for one in bins)
    apart = sum(
        int(one["pixels"]) * abs(_number(one["accuracy"]) - _number(one["confidence"])) for one in bins if one["pixels"]
    )
    return apart / total if total else math.nan


def _number(value: Any) -> float:
    return math.nan if value is None or value == "" else float(value)


def _same(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-6, abs_tol=ROUNDING)
