"""What the gate expects of a prediction's Dice, and from which expected Dice on it accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InvalidDatalist

if TYPE_CHECKING:
    from pipeline.gate import Band, DiceModel
    from pipeline.tasks.calibrate.observing import Sample

__all__ = ["FittedDice", "fit_dice"]

LEVEL = 0.9
FEWEST_NEAR = 30
# A mask of which half is wrong is no result, however a bundle's others are.
FLOOR = 0.5
# Share of ordinary pictures that may be sent to review for their predicted Dice.
ORDINARY = 0.1
# A predicted Dice that no prediction reaches.
NEVER = 1.01


@dataclass(frozen=True, eq=False)
class FittedDice:
    """What `fit_dice` finds.

    Attributes:
        models: Of the Dice, by class.
        band: In which the true Dice is likely to lie, by the predicted one.
        limit: The lowest predicted Dice that is accepted.
        record: For the gate's file.
        notes: What the user should know.
    """

    models: dict[str, DiceModel]
    band: Band
    limit: float
    record: dict[str, Any]
    notes: list[str]


def fit_dice(
    made: Sequence[Sample], labels: dict[int, str], near: NDArray[np.bool_], aims: tuple[float | None, float]
) -> FittedDice:
    """Models of all predictions; limit and interval of those near enough to be accepted."""
    from pipeline.gate import DiceModel, dice_band, held_out_predictions, risk_coverage
    from pipeline.tasks.calibrate.scoring import mean_dice

    names = [name for index, name in sorted(labels.items()) if index != 0]
    subjects = np.array([sample.subject for sample in made])
    confidence, agreement, dice, absent = (
        np.stack([part(sample) for sample in made])
        for part in (
            lambda s: s.seen.signals.confidence,
            lambda s: s.seen.signals.agreement,
            lambda s: s.dice,
            lambda s: s.seen.signals.absent,
        )
    )
    degraded = np.array([sample.degraded for sample in made])
    # Pictures as they are count as much as all that were made worse, which are many and of our own invention.
    weights = np.where(degraded, 1 / max(1, degraded.sum()), 1 / max(1, (~degraded).sum()))
    usable = ~absent & ~np.isnan(dice)
    predicted = np.full(dice.shape, np.nan)
    models: dict[str, DiceModel] = {}
    # Whether each prediction is by a model of other subjects.
    held_out = True
    for number, name in enumerate(names):
        # A class that is hardly ever there borrows from the others.
        columns = [number] if usable[:, number].sum() >= FEWEST_NEAR else list(range(len(names)))
        inside = usable[:, columns]
        if not inside.any():
            raise InvalidDatalist(
                f"No prediction of the calibration found any of {', '.join(names)}: there is nothing to fit. Train the "
                "bundle longer, or give the datalist that it was trained on."
            )
        whose, each = (np.repeat(one[:, None], len(columns), axis=1)[inside] for one in (subjects, weights))
        data = [array[:, columns][inside] for array in (confidence, agreement, dice)]
        models[name] = DiceModel.fit(data[0], data[1], data[2], each)
        found = held_out_predictions(data[0], data[1], data[2], list(whose), each)
        held_out = held_out and found is not None
        guesses = np.full(inside.shape, np.nan)
        guesses[inside] = models[name].predict(data[0], data[1]) if found is None else found
        predicted[:, number] = guesses[:, columns.index(number)]
    judged = usable.any(axis=1)
    whole = np.array([mean_dice(row) for row in dice])
    guessed = np.array([mean_dice(row) for row in predicted])
    chosen = judged & near
    notes = []
    if chosen.sum() < FEWEST_NEAR:
        chosen = judged
        notes.append("Few calibration predictions lie near the training set: limit and interval come from all of them.")
    clean = whole[judged & ~degraded]
    if not len(clean):
        clean = whole[judged]
    wanted, risk = aims
    minimum = max(FLOOR, float(np.quantile(clean, 0.05))) if wanted is None else wanted
    limit, kept, said = _dice_limit(guessed, whole, chosen, judged & ~degraded, minimum, risk, wanted is not None)
    notes += said
    if not held_out:
        notes.append(
            "The calibration's masks, or all of one class, are of one subject: limit, interval and figures come from "
            "the masks that the gate was fitted to, and are too hopeful of others."
        )
    band = dice_band(guessed[chosen], whole[chosen], list(subjects[chosen]), LEVEL)
    figures = {
        "mean_absolute_error": round(float(np.abs(guessed - whole)[chosen].mean()), 4),
        "bias": round(float((guessed - whole)[chosen].mean()), 4),
        "aurc": round(risk_coverage(guessed[judged], whole[judged]).aurc, 4),
        "aurc_oracle": round(risk_coverage(whole[judged], whole[judged]).aurc, 4),
        "within_distance_limit": int(chosen.sum()),
        "accepted_as_they_are": round(kept, 4),
        "accepted_below_minimum": _below(guessed[chosen], whole[chosen], limit, minimum),
    }
    record = {
        "aim": {
            "minimum_dice": round(minimum, 4),
            "chosen": "given"
            if wanted is not None
            else "5th percentile of the Dice of the pictures as they are, not below 0.5",
            "risk": risk,
            "rule": "Among accepted predictions at most this share may have a Dice below the minimum"
            + ("." if wanted is not None else ", unless that turned away a tenth of the pictures as they are."),
        },
        "dice": {"as_they_are": _figures(clean), "all": _figures(whole[judged])},
        # How it does on masks of subjects that it did not learn from; else on those that it was fitted to.
        **({"held_out": figures} if held_out else {"held_out": None, "in_sample": figures}),
    }
    return FittedDice(models, band, limit, record, notes)


def _dice_limit(
    guessed: NDArray[np.float64],
    whole: NDArray[np.float64],
    near: NDArray[np.bool_],
    clean: NDArray[np.bool_],
    minimum: float,
    risk: float,
    given: bool,
) -> tuple[float, float, list[str]]:
    """The lowest predicted Dice that is accepted, the share of clean pictures that reach it, and what to note.

    The limit that holds the risk; unless the minimum was given, not so high that it turns away more than a tenth of the
    pictures as they are: what was made worse is worse than practice, and a gate that cries at ordinary pictures is soon
    switched off. It does not give way to less than `FLOOR`, where a tenth of these pictures are no results.
    """
    from pipeline.gate import lowest_acceptable

    notes = []

    def passing(limit: float) -> float:
        return float((guessed[clean] >= limit).mean()) if clean.any() else 0.0

    limit = lowest_acceptable(guessed[near], whole[near], minimum, risk)
    if limit is None:
        limit = lowest_acceptable(guessed[near], whole[near], minimum, risk, next_counts=False)
        if limit is not None:
            notes.append(f"With {int(near.sum())} predictions the risk is estimated and no more: it may be higher.")
    ordinary = float(np.quantile(guessed[clean], ORDINARY)) if clean.any() else 0.0
    if not given and (limit is None or limit > ordinary) and ordinary >= FLOOR:
        limit = ordinary
        above = near & (guessed >= limit)
        notes.append(
            f"The limit gives way so that no more than a tenth of the pictures as they are should go to review: of "
            f"these {int(clean.sum())}, {passing(limit):.0%} pass; of all above it "
            f"{float((whole[above] < minimum).mean()):.0%} have a Dice below {minimum:.3f}. With --minimum-dice "
            "the risk is held instead."
        )
        return limit, passing(limit), notes
    if limit is None:
        notes.append(
            f"No limit holds the risk: predictions below Dice {minimum:.3f} look like better ones. All go to review. "
            "Train the bundle longer, or give a lower --minimum-dice or a higher --risk."
        )
        return NEVER, 0.0, notes
    kept = passing(limit)
    if kept < 1 - 2 * ORDINARY:
        notes.append(
            f"Of the pictures as they are {1 - kept:.0%} would go to review. A lower --minimum-dice accepts more."
        )
    return limit, kept, notes


def _below(guessed: NDArray[np.float64], whole: NDArray[np.float64], limit: float, minimum: float) -> float | None:
    """The share of the accepted predictions that have a Dice below the minimum; None if none is accepted."""
    accepted = whole[guessed >= limit]
    return round(float((accepted < minimum).mean()), 4) if len(accepted) else None


def _figures(dice: NDArray[np.float64]) -> dict[str, float]:
    return {
        "n": len(dice),
        "mean": round(float(dice.mean()), 4),
        "median": round(float(np.median(dice)), 4),
        "p5": round(float(np.quantile(dice, 0.05)), 4),
        "min": round(float(dice.min()), 4),
    }
