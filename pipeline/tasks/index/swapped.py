"""Images and masks given the wrong way round, which two looks at the first pairs tell."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

import numpy as np
import numpy.typing as npt

from pipeline.errors import InvalidOption, PlanarError
from pipeline.readers import read_picture, slices_in
from pipeline.tasks.index.pairing import Pair

__all__ = ["require_right_way_round"]

# Pairs that are looked at; the first that is as it should be ends it.
LOOKED_AT = 3
# A mask has values for its classes and no more, a picture many: noise sees to that. Between the two nothing is said.
FEW, MANY = 6, 40


def require_right_way_round(pairs: Sequence[Pair], images: str, masks: Sequence[str]) -> None:
    """Raise InvalidOption if what was given as images looks like masks, and what was given as masks like images.

    Args:
        pairs: Images with their masks.
        images: What the user gave as images.
        masks: What the user gave as masks.
    """
    if len(masks) != 1 or not pairs:
        return
    for pair in pairs[:LOOKED_AT]:
        mask = pair.masks[0]
        if mask is None or "#instance=" in mask:
            return
        try:
            # The mask first: as a rule it ends here, and no image is decoded.
            if _values(mask) < MANY or _values(pair.image) > FEW:
                return
        except (PlanarError, OSError):  # told where it is refused
            return
    raise InvalidOption(
        f"{images} has few values a picture, as masks have, and {masks[0]} has many, as images have: are they the "
        f"wrong way round? Images come first: planar index {quote(str(masks[0]))} {quote(str(images))}."
    )


def _values(file: str) -> int:
    """How many values there are in the middle slice of a file, as they are stored."""
    names = slices_in(file)
    array: npt.NDArray[np.generic] = read_picture(names[len(names) // 2], labels=True).array
    return int(np.unique(array).size)
