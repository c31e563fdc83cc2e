"""From the folder of a cross-validation to the bundle of what it shows to be best."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.atomic import replace_folder
from pipeline.bundle import Bundle
from pipeline.datalist import read_datalist
from pipeline.errors import InvalidOption, OutputExists
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.find_best.deciding import Decision, Refinement, decide_flips, decide_refinement
from pipeline.tasks.find_best.members import ENSEMBLE_RULE, Choice, Holdout, choose_members, compare_on, require_new
from pipeline.tasks.find_best.observed import MaskKeeper, Observed
from pipeline.tasks.find_best.rule import RULE
from pipeline.tasks.find_best.scoring import dice_of
from pipeline.tasks.find_best.writing import model_card, set_networks, write_bundle, write_record
from pipeline.tasks.folds import FoldsRecord, FoldState, read_folds, read_state

__all__ = ["Best", "find_best"]

OFF: tuple[tuple[int, ...], ...] = ((),)
Flips = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Best:
    """What was chosen.

    Attributes:
        bundle: The new bundle.
        choice: Its networks.
        flips: The decision on test-time flips; None if the bundle has none to decide on.
        refinement: What is done to finished masks; None if the bundle has no place for it.
        holdout: What was measured on cases new to all networks; None without.
        cases: Out of fold.
        subjects: They belong to.
        test_cases: In the datalist's test part, on which the bundle can be evaluated.
        seconds: Duration, s.
        notes: What the user should know.
    """

    bundle: Bundle
    choice: Choice
    flips: Decision | None
    refinement: Refinement | None
    holdout: Holdout | None
    cases: int
    subjects: int
    test_cases: int
    seconds: float
    notes: tuple[str, ...]


def find_best(
    folder: Path,
    out: Path,
    *,
    single: bool = False,
    half: bool = False,
    holdout: Path | None = None,
    holdout_split: str = "test",
    overwrite: bool = False,
    handlers: Callable[[str], Sequence[object]] = lambda title: (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Best:
    """Choose networks, test-time flips and post-processing by a cross-validation, and write them into a new bundle.

    Args:
        folder: Of `planar train --folds`, all folds done.
        out: The new bundle.
        single: Take one network instead of the ensemble.
        half: Store weights in 16 bits.
        holdout: A datalist with cases that are neither in the cross-validation nor in its test part: ensemble and
            members are compared on them.
        holdout_split: Which part of it.
        overwrite: Replace a bundle that is there.
        handlers: Given what is scored, Ignite handlers for the evaluator, such as a progress bar.
        on_progress: Told of the masks that candidates were tried on, and how many there are.

    Raises:
        MissingFile, InvalidOption: if the cross-validation is not there or not done.
        OutputExists: if the bundle is there.
        InvalidDatalist: if the holdout is not new.
    """
    began = time.perf_counter()
    record = read_folds(folder)
    states = _finished(record)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (overwrite and (out / "configs").is_dir()):
        raise OutputExists(f"{out} exists. Give --overwrite to replace a bundle, or another folder with -o.")
    if holdout is not None:
        require_new(record, holdout, holdout_split)
    target = out.resolve()
    content = read_datalist(record.root / "datalist.json")
    labels = dict(enumerate(content.labels))
    aside = target.parent / f".part-{os.getpid()}-{target.name}"
    sound = choose_members(states, single=False).members
    try:
        with tempfile.TemporaryDirectory(prefix="planar-") as temporary:
            work = Path(temporary)
            flips, flip_decision, cases = _flips(record, sound, len(labels), work, handlers)
            refinement = decide_refinement(cases, labels, on_progress) if _has(record, "refinement") else None
            dice = refinement.after if refinement is not None else _plain_dice(cases, labels)
            shutil.rmtree(aside, ignore_errors=True)
            bundle = write_bundle(record, aside, flips, flip_decision, refinement)
            choice, measured = choose_members(states, single), None
            if holdout is not None:
                set_networks(bundle, record, sound, why=choice.why)
                weights = {fold: record.folder(fold) / "models" / "model.pt" for fold in sound}
                measured = compare_on(holdout, holdout_split, bundle, weights, work / "holdout", handlers)
                choice = choose_members(states, single, measured)
            set_networks(bundle, record, choice.members, why=choice.why, half=half)
        found = Best(
            bundle=Bundle(target, target.name),
            choice=choice,
            flips=flip_decision,
            refinement=refinement,
            holdout=measured,
            cases=len(cases),
            subjects=len({(case.fold, case.subject) for case in cases}),
            test_cases=len(content.test),
            seconds=time.perf_counter() - began,
            notes=(*choice.notes, *([] if refinement else [_no_refinement(record)])),
        )
        write_record(bundle, _record(record, found, dice), model_card(record, found, dice), dice)
        replace_folder(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found


def _finished(record: FoldsRecord) -> tuple[FoldState, ...]:
    states = [read_state(record, fold) for fold in range(record.folds)]
    left = [fold for fold, state in enumerate(states) if state is None or state.out_of_fold is None]
    if left:
        raise InvalidOption(
            f"{record.root}: fold {', '.join(map(str, left))} of {record.folds} is not done. Go on with: planar train "
            f"--resume {record.root}"
        )
    return tuple(state for state in states if state is not None)


def _config(record: FoldsRecord, kind: str) -> dict[str, Any]:
    path = Bundle(record.root / "bundle", record.bundle).config(kind)
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _has(record: FoldsRecord, key: str) -> bool:
    return all(key in _config(record, kind) for kind in ("evaluate", "inference"))


def _no_refinement(record: FoldsRecord) -> str:
    return f"{record.bundle}: its configs have no `refinement`, so that nothing was done to its masks."


def _flips(
    record: FoldsRecord,
    folds: Sequence[int],
    classes: int,
    work: Path,
    handlers: Callable[[str], Sequence[object]],
) -> tuple[Flips | None, Decision | None, list[Observed]]:
    """The flips that are taken, why, and the masks with them. None, None if the bundle has no choice."""
    wanted = _offered_flips(record)
    plain = _masks(record, folds, work / "plain", OFF if _has(record, "test_time_flips") else None, handlers)
    if wanted == OFF:
        return None, None, plain
    flipped = _masks(record, folds, work / "flipped", wanted, handlers)
    dice = [np.stack([dice_of(*case.masks(), classes) for case in cases]) for cases in (plain, flipped)]
    decision = decide_flips(dice[0], dice[1], plain)
    return (wanted, decision, flipped) if decision.verdict.kept else (OFF, decision, plain)


def _offered_flips(record: FoldsRecord) -> Flips:
    """The flips of the evaluate config; where it has none, those of axes that training flips."""
    if not _has(record, "test_time_flips"):
        return OFF
    configured = tuple(tuple(flip) for flip in _config(record, "evaluate")["test_time_flips"])
    if configured != OFF:
        return configured
    axes = set()
    for step in _config(record, "train").get("train", {}).get("random_transforms", []):
        if isinstance(step, dict) and str(step.get("_target_")).endswith("RandFlipd") and step.get("prob", 0.1):
            axis = step.get("spatial_axis")
            axes |= {0, 1} if axis is None else set(axis) if isinstance(axis, list) else {axis}
    found: Flips = OFF
    for axis in sorted(axes):
        found += tuple((*flip, axis) for flip in found)
    return found


def _masks(
    record: FoldsRecord,
    folds: Sequence[int],
    work: Path,
    flips: Flips | None,
    handlers: Callable[[str], Sequence[object]],
) -> list[Observed]:
    """The masks of all cases of some folds, before any refinement."""
    cases: list[Observed] = []
    for fold in folds:
        keeper = MaskKeeper(work / "masks", fold)
        settings = [f"test_time_flips={[list(flip) for flip in flips]}"] if flips is not None else []
        settings += ["refinement=[]"] if _has(record, "refinement") else []
        title = f"Fold {fold}" + (" with flips" if flips not in (None, OFF) else "")
        evaluate(
            str(record.folder(fold)),
            record.datalist(fold),
            "validation",
            work / f"eval{fold}",
            settings,
            masks=False,
            tracking=False,
            handlers=[keeper, *handlers(title)],
        )
        cases += keeper.cases
    return cases


def _plain_dice(cases: Sequence[Observed], labels: dict[int, str]) -> dict[str, float]:
    """Mean Dice over images by class."""
    means = np.mean([dice_of(*case.masks(), len(labels)) for case in cases], axis=0)
    return {name: float(value) for name, value in zip(list(labels.values())[1:], means, strict=True)}


def _record(record: FoldsRecord, found: Best, dice: dict[str, float]) -> dict[str, Any]:
    """What `docs/find_best.json` says."""
    refinement = found.refinement
    return {
        "folds": record.folds,
        "data": record.data,
        "data_sha256": record.data_sha256,
        "cases": found.cases,
        "subjects": found.subjects,
        "networks": {"members": list(found.choice.members), "why": found.choice.why},
        "holdout": asdict(found.holdout) if found.holdout else None,
        "flips": found.flips.record() if found.flips else None,
        "refinement": [dict(step) for step in refinement.steps] if refinement else None,
        "decisions": [decision.record() for decision in refinement.decisions] if refinement else [],
        "dice": {"before": refinement.before, "after": refinement.after, "gain": asdict(refinement.gain)}
        if refinement
        else {"after": dice},
        "rules": {"changes": RULE, "networks": ENSEMBLE_RULE},
    }
