"""Write the bundle that a data set asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.bundle import Bundle
from pipeline.datalist import Finding
from pipeline.errors import InvalidDatalist, InvalidOption, MissingFile
from pipeline.fingerprint import FORMAT, Fingerprint
from pipeline.gate import default_rules
from pipeline.planning import Plan, PlanOptions, make_plan, read_task_spec, write_bundle
from pipeline.split import USUAL_FOLDS

__all__ = ["PlanResult", "plan_bundle"]

FAMILY = FORMAT.rpartition("/")[0]
# Files that a note names; the command lists them all.
NAMED = 5


@dataclass(frozen=True)
class PlanResult:
    """A planned bundle.

    Attributes:
        bundle: Where it is.
        plan: Its choices.
        notes: What the user should know.
        failed: Files that could not be read and from which nothing was planned.
    """

    bundle: Bundle
    plan: Plan
    notes: tuple[str, ...]
    failed: tuple[Finding, ...] = ()


def plan_bundle(
    data: Path,
    task: Path,
    out: Path,
    options: PlanOptions,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> PlanResult:
    """Plan a bundle and write it.

    Args:
        data: A datalist.json, or the fingerprint.json that `planar inspect` has made of one.
        task: The task spec.
        out: Folder of the bundle.
        options: Budget, machine, limits, seed.
        overwrite: Whether a bundle that is there may be planned again; its weights and documents stay.
        workers: Processes that look at the pictures.
        on_progress: Told of the stage, the number of pictures done, and of all, while they are looked at.

    Raises: MissingFile, InvalidDatalist, InvalidOption, OutputExists: before anything is written.
    """
    spec = read_task_spec(task)
    fingerprint, failed = _fingerprint(data, workers, on_progress)
    plan = make_plan(fingerprint, spec, options)
    said = write_bundle(plan, out, default_rules(fingerprint, spec.labels, spec.plausibility), overwrite=overwrite)
    notes = (*_notes(plan, out), *_of_volumes(fingerprint, spec.neighbours), *said, *_left_out(failed))
    return PlanResult(Bundle(out.resolve(), out.resolve().name), plan, notes, failed)


def require_given(data: Path, task: Path) -> None:
    """Raise MissingFile or InvalidOption if there is nothing to plan from, before anything is loaded."""
    read_task_spec(task)
    _text_of(data)


def _text_of(data: Path) -> str:
    try:
        return data.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFile(f"{data} is not there; expected a datalist.json or a fingerprint.json.") from None
    except IsADirectoryError:
        raise InvalidOption(f"{data} is a folder; expected a datalist.json or a fingerprint.json.") from None


def _of_volumes(fingerprint: Fingerprint, neighbours: int) -> list[str]:
    """The offer of neighbouring slices as channels, if that is possible; that they are asked for in vain, if not."""
    slices = int(fingerprint.document.get("volume_slices", 0))
    cases = sum(fingerprint["cases"][part] for part in fingerprint["measured"])
    if not neighbours and slices:
        return [
            f"{slices} of {cases} cases are slices of volumes: with 'neighbours: 1' in the task spec the network sees "
            "the slices before and behind as channels (2.5D)."
        ]
    if neighbours and not slices:
        return [
            f"None of the {cases} cases is a slice of a volume: each stands in its neighbours' place, "
            f"and {2 * neighbours} of the network's channels teach it nothing. Take 'neighbours' out of the task spec."
        ]
    return []


def _fingerprint(
    data: Path, workers: int | None, on_progress: Callable[[str, int, int], None]
) -> tuple[Fingerprint, tuple[Finding, ...]]:
    """The fingerprint, and the files that could not be read for it."""
    text = _text_of(data)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidDatalist(f"{data} is not valid JSON ({error}). Make it again with planar index.") from None
    if isinstance(document, dict) and str(document.get("format")).startswith(FAMILY):
        return Fingerprint.from_json(text, str(data)), ()
    from pipeline.tasks.inspect import inspect_set

    inspection = inspect_set(data, workers=workers, on_progress=on_progress)
    return inspection.fingerprint, tuple(inspection.failed)


def _left_out(failed: Sequence[Finding]) -> list[str]:
    if not failed:
        return []
    named = ", ".join(finding.file for finding in failed[:NAMED]) + (" …" if len(failed) > NAMED else "")
    files = f"{len(failed)} file{'s' if len(failed) > 1 else ''}"
    return [f"{files} could not be read, and the bundle was planned without: {named}. Mend or drop before training."]


def _notes(plan: Plan, out: Path) -> list[str]:
    notes = []
    cases = plan.fingerprint["cases"]
    if not out.resolve().name.endswith("_segmentation"):
        notes.append("MONAI Label takes the kind of a bundle from its name: let it end in _segmentation.")
    if plan.schedule.seconds > plan.options.budget_s:
        notes.append(f"The training will take about {plan.schedule.seconds / 60:.0f} min, more than the budget.")
    subjects = plan.fingerprint["subjects"]
    folds = min(USUAL_FOLDS, subjects["training"] + subjects["validation"])  # each has a subject of its own at least
    if cases["training"] < 20 and folds > 1:
        notes.append(f"{cases['training']} training cases are few; train --folds {folds} uses and scores each of them.")
    if not cases["validation"]:
        notes.append("No validation cases, by which training chooses its best weights: index with another --split.")
    absent = [name for name, c in plan.fingerprint["classes"].items() if not c["cases"]]
    if absent:
        notes.append(f"No training case has the class {', '.join(absent)}: it cannot be learnt.")
    duplicates = plan.fingerprint["near_duplicates"]
    if duplicates:
        notes.append(
            f"{len(duplicates)} pairs of pictures on two sides of the split look alike (planar inspect shows them)."
        )
    return notes
