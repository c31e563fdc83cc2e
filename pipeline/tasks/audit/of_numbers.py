"""Whether the numbers of a run come out again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.datalist import load_cases, read_datalist, write_datalist
from pipeline.errors import user_error_within
from pipeline.tasks.audit.calibration_tables import compare_calibration
from pipeline.tasks.audit.case_tables import (
    CASES,
    CONFUSION,
    compare_confusion,
    compare_summaries,
    compare_tables,
    read_cases,
    read_summary,
)
from pipeline.tasks.audit.check import SCORED, Check, Outcome, failed, passed, skipped
from pipeline.tasks.audit.differences import Differences
from pipeline.tasks.audit.kept_validation import kept_validation
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tasks.audit.of_checkpoint import load_weights, weights_in_record
from pipeline.tasks.audit.of_kind import NOT_SCORED, SCORED_KINDS
from pipeline.tasks.audit.tolerance import AuditTolerance
from pipeline.tracking import RunFacts
from pipeline.tracking.datasets import with_digests
from pipeline.tracking.headline import SELECTING
from pipeline.tracking.recorded import config_artifact, scored_part

if TYPE_CHECKING:
    from pipeline.tasks.audit.scoring import ScoredAgain

__all__ = ["check_numbers"]

# What a summary says of how it was computed.
SETTINGS = ("n_cases", "n_subjects", "classes", "distance_unit", "bootstrap", "nsd_tolerance")


def check_numbers(
    material: AuditMaterial, tolerance: AuditTolerance, handlers: Sequence[object] = ()
) -> Iterator[Check]:
    """Load the weights, score the cases again and compare; what stands in the way of it is said."""
    run = material.run
    weights = _weights(material)
    config = config_artifact(run)
    if weights is not None:
        loaded = load_weights(weights)
        yield loaded
        if loaded.outcome is not Outcome.PASS:
            yield skipped(SCORED, "the checkpoint cannot be loaded")
            return
    if run.kind not in SCORED_KINDS:
        yield skipped(SCORED, _why_not(run), essential=run.kind not in NOT_SCORED)
        return
    if run.status != "FINISHED":
        yield skipped(SCORED, f"the run was {run.status}", essential=False)
        return
    for missing, words in ((weights, "there are no weights"), (config, "the executed config was not recorded")):
        if missing is None:
            yield skipped(SCORED, words)
            return
    if material.datalist is None or not material.datalist.is_file():
        yield skipped(SCORED, "the images are not here; name the datalist with --data", essential=not material.packed)
        return
    scored = material, Path(str(weights)), run.fetch(str(config)), tolerance, handlers
    try:
        if run.kind == "evaluation":
            yield from _evaluation(*scored)
        else:
            yield _training(*scored)
    except Exception as error:
        cause = user_error_within(error) or error
        yield failed(SCORED, f"it ended with an error: {' '.join(str(cause).split())[:300]}")


def _weights(material: AuditMaterial) -> Path | None:
    if material.checkpoint is not None:
        return material.checkpoint
    holder, recorded = weights_in_record(material)
    return holder.fetch(recorded[0]) if recorded else None


def _why_not(run: RunFacts) -> str:
    if run.kind == "cross-validation":
        return "the scores are those of its folds: verify their runs"
    return f"a run of the kind '{run.kind or 'unknown'}' has no scores that could be computed again"


def _evaluation(
    material: AuditMaterial, weights: Path, config: Path, tolerance: AuditTolerance, handlers: Sequence[object]
) -> Iterator[Check]:
    run = material.run
    split = scored_part(run)
    if CASES not in run.files or split is None or material.datalist is None:
        yield skipped(SCORED, f"the run has recorded no {CASES}, or not which part it scored")
        return
    again = _evaluate_again(material, weights, config, split, handlers)
    found = Differences()
    seen = compare_tables(read_cases(run.fetch(CASES)), again.cases, tolerance, found)
    for name, points in run.metrics.items():
        if name in again.metrics:
            distance, now = name.startswith(("hd95", "asd")), again.metrics[name]
            for was in dict.fromkeys(point.value for point in points):
                same = tolerance.allows(was, now, distance=distance)
                found.note(same, f"metric {name}: {was:.6f} → {now:.6f}")
    _compare_records(run, again, tolerance, found)
    most = f"{seen.greatest:.6f}{f' ({seen.where})' if seen.where else ''}"
    if found.wrong:
        told = f"{len(found.wrong)} of {found.compared} numbers differ; greatest difference {most}"
        yield failed(SCORED, told, found.wrong)
    else:
        told = f"{found.compared} numbers of {seen.cases} cases; greatest difference of a share {most}"
        yield passed(SCORED, told)
    if others := sorted(run.metrics.keys() - again.metrics.keys()):
        told = f"the evaluation computes no such metrics, and nothing says that they are true: {', '.join(others)}"
        yield skipped("other metrics", told, essential=False)


def _compare_records(run: RunFacts, again: ScoredAgain, tolerance: AuditTolerance, found: Differences) -> None:
    """The recorded summary, its rules, calibration and confusion, and those of now."""
    recorded = read_summary(run)
    if recorded is not None:
        compare_summaries(recorded["summary"], again.record["summary"], tolerance, found)
        compare_calibration(recorded.get("calibration"), again.record["calibration"], tolerance, found)
        for key in SETTINGS:
            was, now = recorded.get(key), again.record[key]
            found.note(was == now, f"{key} of the summary: {was} → {now}")
        for key in ("notes", "faults"):  # in the words of the machine, with names of files
            was, now = len(recorded.get(key) or ()), len(again.record[key])
            found.note(was == now, f"{key} of the summary: {was} → {now}")
    if CONFUSION in run.files:
        compare_confusion(run.fetch(CONFUSION), again.folder / "confusion.csv", tolerance, found)


def _evaluate_again(
    material: AuditMaterial, weights: Path, config: Path, split: str, handlers: Sequence[object]
) -> ScoredAgain:
    from pipeline.tasks.audit.scoring import evaluate_again

    return evaluate_again(
        config,
        material.folder / "again",
        datalist=_with_digests(Path(str(material.datalist)), split, material.folder),
        split=split,
        weights=weights,
        bundle=material.bundle.root if material.bundle is not None else None,
        handlers=handlers,
    )


def _with_digests(datalist: Path, split: str, folder: Path) -> Path:
    """The datalist; one of another tool, which has no digests of pixels, with those by which cases are told apart."""
    items = load_cases(datalist, split)
    if all(item.get("image_sha256") for item in items):
        return datalist
    content = read_datalist(datalist)
    content.part(split)[:] = [with_digests(item, None, used=True) for item in items]
    write_datalist(content, folder / "datalist.json")
    return folder / "datalist.json"


def _training(
    material: AuditMaterial, weights: Path, config: Path, tolerance: AuditTolerance, handlers: Sequence[object]
) -> Check:
    from pipeline.tasks.audit.scoring import validate_again

    step, recorded = kept_validation(material.run)
    if not recorded:
        return skipped(SCORED, "the run has recorded no validation of its weights")
    again = validate_again(
        config,
        material.folder / "again",
        datalist=Path(str(material.datalist)),
        weights=weights,
        bundle=material.bundle.root if material.bundle is not None else None,
        handlers=handlers,
    )
    common = [name for name in recorded if name in again]
    wrong = [
        f"{name} at {step}: {recorded[name]:.6f} → {again[name]:.6f}"
        for name in common
        if not tolerance.allows(recorded[name], again[name], distance=False)
    ]
    if not common:
        return skipped(SCORED, "the validation has other metrics than the record")
    if wrong:
        return failed(SCORED, f"{len(wrong)} of {len(common)} numbers of the validation differ", wrong)
    greatest = max((abs(recorded[name] - again[name]) for name in common), default=0.0)
    return passed(
        SCORED,
        f"{len(common)} numbers of the validation of epoch {step}, {SELECTING} {again.get(SELECTING, math.nan):.4f}; "
        f"greatest difference {greatest:.6f}",
    )
