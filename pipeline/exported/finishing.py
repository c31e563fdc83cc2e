"""What of a bundle's post-processing a program covers: soft-max, the way back, the arg-max, and some refinement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.transforms import (
    Activationsd,
    AsDiscreted,
    CastToTyped,
    Compose,
    Invertd,
    KeepLargestConnectedComponentd,
    SqueezeDimd,
)

from pipeline.errors import InvalidBundle
from pipeline.exported.refining import KeepLargest, RemoveSmall, Step
from pipeline.regions import CORNERS
from pipeline.transforms import RemoveSmallRegionsd

__all__ = ["refinement_in", "split_refinement"]

_NEEDED = (Activationsd, Invertd, AsDiscreted)
_ORDER = (*_NEEDED, Compose, SqueezeDimd, CastToTyped)


def split_refinement(postprocessing: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The transforms without those that refine finished masks, and these."""
    refining = [step for step in postprocessing if isinstance(step, Compose)]
    return [step for step in postprocessing if not isinstance(step, Compose)], refining


def refinement_in(postprocessing: Sequence[Any]) -> tuple[Step, ...]:
    """What is done to the mask that a program gives.

    Args:
        postprocessing: A bundle's transforms but for `SaveImaged`.
    Raises: InvalidBundle: unless it is soft-max, the way back, the arg-max, and refinement that is known here.
    """
    wanted = list(_ORDER)
    steps = [step for step in postprocessing if not (isinstance(step, Compose) and not step.transforms)]
    for step in steps:
        kind = next((kind for kind in wanted if isinstance(step, kind)), None)
        if kind is None:
            raise InvalidBundle(
                f"Its post-processing has {type(step).__name__}, which an exported program does not know."
            )
        # In this order, and each of them once at most.
        wanted = wanted[wanted.index(kind) + 1 :]
    by_kind = {kind: next((step for step in steps if isinstance(step, kind)), None) for kind in _NEEDED}
    soft, back, hard = (by_kind[kind] for kind in _NEEDED)
    plain = (
        soft is not None and soft.softmax[0] and not soft.sigmoid[0] and soft.other[0] is None
        and back is not None and not back.nearest_interp[0]
        and hard is not None and hard.argmax[0] and hard.to_onehot[0] is None and hard.threshold[0] is None
    )  # fmt: skip
    if not plain:
        raise InvalidBundle("Its post-processing is not soft-max, the way back to the picture's grid, and the arg-max.")
    return tuple(_known(one) for step in split_refinement(steps)[1] for one in step.transforms)


def _known(step: Any) -> Step:
    """A transform of `refinement` as the program's own step."""
    # A class of somebody's that is derived from one of these may do anything.
    if type(step) is RemoveSmallRegionsd:
        return RemoveSmall(tuple(map(int, step.applied_labels)), float(step.min_share))
    if type(step) is KeepLargestConnectedComponentd:
        one = step.converter
        labels = None if one.applied_labels is None else tuple(map(int, one.applied_labels))
        connectivity = CORNERS if one.connectivity is None else int(one.connectivity)
        if one.is_onehot or connectivity not in (1, CORNERS) or one.num_components < 1:
            raise InvalidBundle(
                "It refines masks by KeepLargestConnectedComponentd with is_onehot, a connectivity or num_components "
                "that an exported program does not do."
            )
        return KeepLargest(labels, bool(one.independent), connectivity, int(one.num_components))
    raise InvalidBundle(f"It refines masks by {type(step).__name__}, which an exported program does not do.")
