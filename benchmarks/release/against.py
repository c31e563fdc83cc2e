"""A bundle against a recipe: Dice on the same test cases, subject by subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import InvalidBundle
from pipeline.metrics import paired_differences, read_evaluation

__all__ = ["dice_against", "require_same_cases"]

# A processor of another kind rounds otherwise: whole sets were 0.002 apart at most.
ANOTHER_PROCESSOR = 0.005


def dice_against(recipe: Sequence[Path], bundle: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """How far the bundle is above the recipe, by class.

    Args:
        recipe: Evaluations of the recipe; of a class that stands in several the last counts.
        bundle: Those of the bundle on the same cases, in the same order.
    Returns: Mean over subjects of bundle − recipe, its interval, the number of subjects, and of images of which one of
        the two has rightly found nothing and the other something (`PAIRED_RULE` says how they count).
    """
    found: dict[str, dict[str, Any]] = {}
    for theirs, ours in zip(recipe, bundle, strict=True):
        a, b = (read_evaluation(folder).cases for folder in (theirs, ours))
        for label in dict.fromkeys(a["class"]):
            paired = paired_differences(a, b, "dice", label)
            silent = [_images(cases, label, "predicted_pixels") for cases in (a, b)]
            without = _images(a, label, "reference_pixels")
            found[label] = {
                "mean": paired.mean,
                "ci_low": paired.ci_low,
                "ci_high": paired.ci_high,
                "n": paired.n,
                "invented": {
                    "recipe": len(without & silent[1] - silent[0]),
                    "bundle": len(without & silent[0] - silent[1]),
                },
            }
    return found


def _images(cases: pd.DataFrame, label: str, counted: str) -> set[str]:
    """The images with none of a class, in the reference or in the prediction."""
    return set(cases.loc[(cases["class"] == label) & (cases[counted] == 0), "image"])


def require_same_cases(bundle: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InvalidBundle unless a bundle has on these lists the scores that stand in its record.

    Args:
        bundle: Its name.
        before: Scores by class, as recorded.
        now: The same, measured again.
    """
    for label, scores in before.items():
        was, found = scores["dice"], now[label]["dice"]
        apart = abs((was["mean"] or 0.0) - (found["mean"] or 0.0))
        if was["n"] != found["n"] or apart > ANOTHER_PROCESSOR:
            raise InvalidBundle(
                f"{bundle}: the Dice of {label} on {found['n']} subjects is {found['mean']}; in its record it is "
                f"{was['mean']} on {was['n']}. The lists are of other cases than those that it was released with."
            )
