"""What a bundle's gate says of a set, and how right it is where the masks are known."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.atomic import write_text_aside
from pipeline.bundle import find_bundle
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidOption, OutputExists
from pipeline.tasks.evaluate import compare_classes, require_weights
from pipeline.tasks.infer.sources import Refusal, reason
from pipeline.tasks.workflow import quiet_libraries

if TYPE_CHECKING:
    from pipeline.gate import Gate, Verdict

__all__ = ["CheckResult", "Checked", "check_gate"]

COLUMNS = (
    "image",
    "predicted_dice",
    "distance",
    "decision",
    "reasons",
    "interval_low",
    "interval_high",
    "dice",
)


@dataclass(frozen=True, eq=False)
class Checked:
    """One prediction that was judged.

    Attributes:
        image: As the datalist names it.
        verdict: What the gate says.
        dice: Mean over the classes; None without a reference mask, or where neither mask has any class.
    """

    image: str
    verdict: Verdict
    dice: float | None


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What a check came to.

    Attributes:
        table: gate.csv.
        cases: All that were judged, in the datalist's order.
        summary: Counts, and risk–coverage figures where masks are known; also written beside the table.
        refused: What could not be read.
        notes: What the user should know.
        seconds: Duration, s.
    """

    table: Path
    cases: tuple[Checked, ...]
    summary: dict[str, Any]
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]
    seconds: float


def check_gate(
    name_or_path: str,
    datalist: Path,
    split: str = "test",
    out: Path = Path("gate.csv"),
    *,
    overwrite: bool = False,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> CheckResult:
    """Judge the predictions of one split.

    Args:
        name_or_path: The bundle, with a gate.
        datalist: `datalist.json`; items may be without masks.
        split: "training", "validation" or "test".
        out: The table; figures go to a JSON file of the same name.
        overwrite: Whether to replace both.
        on_progress: Called with the stage, and what of it is done, and all.

    Raises:
        InvalidBundle, InvalidDatalist, InvalidOption, MissingFile, OutputExists: before anything is computed.
    """
    from pipeline.gate import read_gate

    began = time.perf_counter()
    bundle = find_bundle(name_or_path)
    figures = out.with_suffix(".json")
    if figures == out:
        raise InvalidOption(f"{out}: expected a name such as gate.csv with -o; the figures go to the .json beside it.")
    for path in (out, figures):
        if path.exists() and not overwrite:
            raise OutputExists(f"{path} exists. Give --overwrite to replace it, or another name with -o.")
    items = load_cases(datalist, split, labelled=False)
    labelled = any("label" in item for item in items)
    notes = compare_classes(bundle, bundle.labels("inference"), datalist) if labelled else []
    require_weights(bundle, bundle.weights)
    gate = read_gate(bundle)
    origin = gate.record["fitted_on"]
    if (origin["data"], origin["part"]) == (read_datalist(datalist).name, split):
        notes.append("These figures are of the masks it was fitted to: on others the gate does worse.")
    names = [str(item["image"]) for item in read_datalist(datalist).part(split)]
    refused: list[Refusal] = []
    cases: list[Checked] = []
    with quiet_libraries():
        judge = _Judge(bundle.root, gate)
        for number, (name, item) in enumerate(zip(names, items, strict=True), 1):
            try:
                cases.append(judge(name, item))
            except Exception as error:
                refused.append(Refusal(name, reason(error, name)))
            on_progress("Checking", number, len(items))
    summary = {
        "bundle": bundle.name,
        "checkpoint_sha256": gate.record["checkpoint_sha256"],
        "data": read_datalist(datalist).name,
        "split": split,
        **_summary(cases, gate),
    }
    write_text_aside(out, _table(cases))
    write_text_aside(figures, json.dumps(summary, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    return CheckResult(out, tuple(cases), summary, tuple(refused), tuple(notes), time.perf_counter() - began)


class _Judge:
    """Predicts one item, judges it, and scores it if its mask is known."""

    def __init__(self, root: Path, gate: Gate) -> None:
        from pipeline.tasks.calibrate.scoring import References
        from pipeline.tasks.infer.quality import watched_predictor

        self.gate = gate
        bundle = find_bundle(str(root))
        self.predict, self.watch = watched_predictor(bundle, gate)
        self.references = References(len(gate.labels))

    def __call__(self, name: str, item: dict[str, Any]) -> Checked:
        from pipeline.tasks.calibrate.scoring import mean_dice
        from pipeline.tasks.infer.quality import verdict_of

        self.watch.forget()
        (mask,) = (prediction.mask for prediction in self.predict([item["image"]]))
        verdict = verdict_of(self.gate, self.watch.take(), mask)
        dice = None
        if "label" in item:
            scored = mean_dice(self.references.dice(mask, self.references.mask(item), name))
            dice = None if np.isnan(scored) else scored
        return Checked(name, verdict, dice)


def _summary(cases: Sequence[Checked], gate: Gate) -> dict[str, Any]:
    from pipeline.gate import risk_coverage

    accepted = [case for case in cases if case.verdict.decision == "accept"]
    summary: dict[str, Any] = {"images": len(cases), "accepted": len(accepted), "review": len(cases) - len(accepted)}
    scored = [case for case in cases if case.dice is not None]
    if not scored:
        return summary
    dice = np.array([case.dice for case in scored], dtype=np.float64)
    guessed = np.array([case.verdict.predicted_dice for case in scored], dtype=np.float64)  # None becomes NaN
    # A mask in which nothing was found is the last to be kept.
    score = np.nan_to_num(guessed, nan=0.0)
    summary["risk_coverage"] = risk_coverage(score, dice).document()
    kept = np.array([case.verdict.decision == "accept" for case in scored])
    if kept.any():
        # By the decision itself, whatever the order is.
        summary["of_accepted"] = risk_coverage(score[kept], dice[kept]).at(1.0)
    if not np.isnan(guessed).all():
        summary["mean_absolute_error"] = float(np.nanmean(np.abs(guessed - dice)))
    inside = [
        case.verdict.interval[0] <= case.dice <= case.verdict.interval[1]
        for case in scored
        if case.verdict.interval is not None and case.dice is not None
    ]
    if inside:
        summary["interval"] = {"n": len(inside), "level": gate.band.level, "share_within": float(np.mean(inside))}
    return summary


def _table(cases: Sequence[Checked]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for case in cases:
        verdict = case.verdict
        low, high = verdict.interval or (None, None)
        table.writerow(
            [
                case.image,
                _figure(verdict.predicted_dice),
                _figure(verdict.distance),
                verdict.decision,
                verdict.cell,
                _figure(low),
                _figure(high),
                _figure(case.dice),
            ]
        )
    return out.getvalue()


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
