"""Which of the folds' networks go into the bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.bundle import Bundle
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidDatalist
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.find_best.rule import Interval, mean_interval
from pipeline.tasks.folds import FoldsRecord, FoldState

__all__ = ["ENSEMBLE_RULE", "Choice", "Holdout", "choose_members", "compare_on", "require_new"]

ENSEMBLE_RULE = (
    "The ensemble of all folds is taken unless there is a reason against it, because it cannot be scored out of fold: "
    "no training case is new to all of its members, and a score on cases that most of them were trained on would be "
    "no estimate. The out-of-fold figures are those of its members, each on the cases that are new to it; published "
    "experience is that the mean of such networks scores as well as they do or a little better. Reason against a "
    "member: its out-of-fold Dice is less than half of the folds' median, as if its training had failed. Reasons "
    "against the ensemble: --single; or, with --holdout, that its members are on average better than it on those "
    "cases, by a paired difference by subject whose interval lies above 0. A single network is the one with the best "
    "Dice: on the holdout if there is one, else out of fold, where each was scored on other cases, so that the choice "
    "is weak."
)
FAILED = 0.5


@dataclass(frozen=True)
class Choice:
    """The networks that are taken.

    Attributes:
        members: Their folds; one of them is a single network.
        why: In a sentence.
        notes: What the user should know.
    """

    members: tuple[int, ...]
    why: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Holdout:
    """Ensemble and members on cases that none of them has seen.

    Attributes:
        name: Of the datalist.
        subjects: That were compared.
        ensemble: Mean Dice over subjects.
        members: The same of each member, by fold.
        difference: Ensemble less the mean of its members, by subject.
    """

    name: str
    subjects: int
    ensemble: float
    members: dict[int, float]
    difference: Interval


def choose_members(states: Sequence[FoldState], single: bool, holdout: Holdout | None = None) -> Choice:
    """Decide between the ensemble and a single network; see `ENSEMBLE_RULE`.

    Args:
        states: The folds.
        single: Whether the user wants one network.
        holdout: What was measured on cases new to all, if anything.
    """
    dice = {state.fold: state.mean_dice or 0.0 for state in states}
    failed = [fold for fold, value in dice.items() if value < FAILED * float(np.median(list(dice.values())))]
    kept = {fold: value for fold, value in dice.items() if fold not in failed}
    notes = [
        f"Fold {fold} is left out: its Dice of {dice[fold]:.4f} is less than half of the folds' median, as if its "
        "training had failed. Its cases count in no figure here."
        for fold in failed
    ]
    worse = holdout is not None and holdout.difference.high is not None and holdout.difference.high < 0
    if not single and not worse:
        measured = f"; on {holdout.name} it differs from its members by {holdout.difference}" if holdout else ""
        return Choice(tuple(kept), f"ensemble of {len(kept)} folds{measured}", tuple(notes))
    values = holdout.members if holdout is not None else kept
    best = max(values, key=lambda fold: values[fold])
    where = f"on {holdout.name}" if holdout is not None else "on its own cases, which differ from those of the others"
    reason = "wanted" if single else f"the ensemble differs from its members by {holdout.difference}" if holdout else ""
    return Choice((best,), f"single network of fold {best}, the best {where} ({reason})", tuple(notes))


def require_new(record: FoldsRecord, datalist: Path, split: str) -> None:
    """Raise InvalidDatalist if a case or subject of a holdout was trained on, or is to be tested on."""
    ours = read_datalist(record.root / "datalist.json")
    theirs = load_cases(datalist, split)
    for key in ("image_sha256", "subject"):
        known = {item[key] for part in ("training", "validation", "test") for item in ours.part(part) if key in item}
        seen = [item for item in theirs if item.get(key) in known]
        if seen:
            raise InvalidDatalist(
                f"{datalist}: {len(seen)} of its cases in '{split}', such as {seen[0]['image']}, belong to the "
                f"cross-validation or its test part, by {key.replace('_', ' ')}. A holdout must be new to both: "
                "index other cases."
            )


def compare_on(
    datalist: Path,
    split: str,
    ensemble: Bundle,
    members: Mapping[int, Path],
    folder: Path,
    handlers: Callable[[str], Sequence[object]] = lambda title: (),
) -> Holdout:
    """Score an ensemble and each of its members on cases that none of them has seen.

    Args:
        datalist: Of these cases.
        split: Which part.
        ensemble: Its bundle, which takes the weights of a member too.
        members: Their weights, by fold.
        folder: For the tables.
        handlers: Given what is evaluated, Ignite handlers for it.
    """

    def scores(name: str, weights: Path | None = None) -> pd.Series[float]:
        out = folder / name
        evaluate(str(ensemble.root), datalist, split, out, checkpoint=weights, tracking=False, handlers=handlers(name))
        cases = pd.read_csv(out / "cases.csv", dtype={"subject": str})
        # As elsewhere in this choice: a class that is absent from both masks is a right answer.
        return cases.assign(dice=cases["dice"].fillna(1.0)).groupby("subject")["dice"].mean()

    together = scores("Ensemble")
    alone = {fold: scores(f"Fold {fold}", weights) for fold, weights in members.items()}
    mean = pd.concat(list(alone.values()), axis=1).mean(axis=1)
    return Holdout(
        name=read_datalist(datalist).name,
        subjects=len(together),
        ensemble=float(together.mean()),
        members={fold: float(values.mean()) for fold, values in alone.items()},
        difference=mean_interval((together - mean.loc[together.index]).to_numpy()),
    )
