"""Scores of classes that are joined: the disc of a network that tells rim and cup."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.cases import Case, cases_of, save_mask
from benchmarks.scoring import score
from pipeline.datalist import read_datalist
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption, MissingFile
from pipeline.metrics import Evaluation
from pipeline.readers import read_picture
from pipeline.tasks.union_lists import parse_unions

__all__ = ["score_united"]


def score_united(
    datalist: Path, labels: list[str], masks: Path, union: str, folder: Path, bundle: str, weights: Path | None = None
) -> Evaluation:
    """Score the masks of a network on the test part of a datalist, with several of its classes as one.

    Args:
        datalist: Whose masks have these classes, or the union alone.
        labels: The network's classes, background first.
        masks: What `planar infer` has written: `<name>_mask.png` of each picture.
        union: Such as "disc=disc_rim,cup".
        folder: Of the evaluation.
        bundle: Its name, for the record.
        weights: That made the masks, for the record.
    """
    ((name, parts),) = parse_unions([union]).items()
    united = [labels.index(part) for part in parts]
    content = read_datalist(datalist)
    if name in content.labels:
        expected = [content.labels.index(name)]
    elif set(parts) <= set(content.labels):
        expected = [content.labels.index(part) for part in parts]
    else:
        raise InvalidOption(f"{datalist} has the classes {', '.join(content.labels)}; expected {name}, or its parts.")
    cases = cases_of(datalist, ("test",))
    aside = folder.with_name(f"{folder.name}_masks")
    aside.mkdir(parents=True, exist_ok=True)
    for case in cases:
        save_mask(np.isin(read_picture(_mask_of(case, masks), labels=True).array, united).astype(np.uint8), case, aside)
    about = {"bundle": bundle, "data": f"{content.name}, {name}", "split": "test"}
    if weights is not None:
        about["checkpoint_sha256"] = file_sha256(weights)
    return score(
        [_United(**vars(case), expected=tuple(expected)) for case in cases],
        {0: "background", 1: name},
        aside,
        folder,
        about,
    )


@dataclass(frozen=True)
class _United(Case):
    """A case whose reference has the union as its only class.

    Attributes:
        expected: The classes of the union in the datalist.
    """

    expected: tuple[int, ...] = ()

    def reference(self) -> npt.NDArray[np.uint8]:
        """1 where the reference is of the union, (W, H)."""
        return np.isin(super().reference(), self.expected).astype(np.uint8)


def _mask_of(case: Case, masks: Path) -> Path:
    name = f"{Path(case.image).stem}_mask.png"
    found = sorted(masks.rglob(name))
    if len(found) != 1:
        raise MissingFile(f"{masks}: {len(found)} files are called {name}; expected the mask of {case.shown}.")
    return found[0]
