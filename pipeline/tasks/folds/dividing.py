"""From one datalist to one for each fold."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.datalist import Datalist, load_cases, read_datalist, relative_to, subject_of
from pipeline.errors import InvalidDatalist
from pipeline.split import PARTS, assign_folds

__all__ = ["Divided", "divide"]

Item = dict[str, Any]


@dataclass(frozen=True)
class Divided:
    """A datalist and its folds, with paths relative to the folder that they were divided for.

    Attributes:
        whole: The datalist, in whose training and validation parts each case has its fold.
        folds: For each fold the datalist that trains on the others' cases and validates on its own.
        seed: What subjects were divided with.
        anew: Whether they were divided here, rather than by the datalist.
    """

    whole: Datalist
    folds: tuple[Datalist, ...]
    seed: int
    anew: bool


def divide(path: Path, folds: int, folder: Path) -> Divided:
    """Divide the training and validation cases of a datalist into folds; the test part stays as it is.

    Args:
        path: The datalist. Its own folds are taken if there are as many as wanted; otherwise subjects are divided anew,
            with its seed.
        folds: Number of folds, 2 or more.
        folder: Where the datalists of the folds are to lie.

    Raises:
        MissingFile, InvalidDatalist: if the datalist cannot be used.
        InvalidSplit: if there are fewer subjects than folds.
    """
    content = read_datalist(path)
    for part in ("training", "validation"):
        if content.part(part) or part == "training":
            load_cases(path, part)
    moved = {part: [_moved(item, path, folder) for item in content.part(part)] for part in PARTS}
    outside_test = moved["training"] + moved["validation"]
    seed = int(content.split.get("seed", 0) or 0)
    anew = {item.get("fold") for item in outside_test} != set(range(folds))
    if anew:
        chosen = assign_folds(Counter(map(subject_of, outside_test)), folds=folds, seed=seed)
        for item in outside_test:
            item["fold"] = chosen[subject_of(item)]
    _require_whole_subjects(outside_test, path)
    facts = {**content.split, "seed": seed, "folds": folds}
    whole = replace(
        content, split=facts, training=moved["training"], validation=moved["validation"], test=moved["test"]
    )
    parts = tuple(
        replace(
            content,
            description=f"Fold {number} of {folds} of {content.name}",
            split={**facts, "fold": number},
            training=[item for item in outside_test if item["fold"] != number],
            validation=[item for item in outside_test if item["fold"] == number],
            test=moved["test"],
            refused=[],
            warnings=[],
        )
        for number in range(folds)
    )
    return Divided(whole, parts, seed, anew)


def _moved(item: Item, path: Path, folder: Path) -> Item:
    """A case with its paths relative to another folder."""
    here = os.path.realpath(path.parent)

    def there(entry: Any) -> Any:
        if isinstance(entry, list):
            return [there(part) for part in entry]
        return relative_to(folder, os.path.join(here, entry))  # noqa: PTH118

    return {key: there(value) if key in ("image", "label") else value for key, value in item.items()}


def _require_whole_subjects(items: list[Item], path: Path) -> None:
    fold: dict[str, int] = {}
    for item in items:
        first = fold.setdefault(subject_of(item), item["fold"])
        if first != item["fold"]:
            raise InvalidDatalist(
                f"{path}: the subject {subject_of(item)} is in the folds {first} and {item['fold']}, and would be "
                "trained on by the network that is scored on it. Mend its folds, or index again."
            )
