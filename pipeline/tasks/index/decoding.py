"""From the masks of a picture to its classes, by the set's coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datalist import Finding
from pipeline.errors import UnknownLabel
from pipeline.labels import LabelCoding, nearest_colour, rgb_of, segments_coding
from pipeline.readers import Picture
from pipeline.tasks.index.pairing import Pair

__all__ = ["RefusedError", "classes_of", "coding_of"]

# A mask of which more than this share lies far from all its levels or colours is coded otherwise.
MOST_STRAYS = 0.1
STRAYS_WORTH_TELLING = 0.005


class RefusedError(Exception):
    """Why a pair gives no case."""

    def __init__(self, file: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.finding = Finding(file, code, reason)


def coding_of(
    pair: Pair,
    masks: Sequence[Picture],
    coding: LabelCoding,
    segments_of: tuple[str, ...] | None,
    warnings: list[Finding],
) -> LabelCoding:
    """The set's coding for one pair: without the files that it lacks, in the indices of its palette or segments.

    Args:
        pair: The pair.
        masks: Its masks.
        coding: The set's.
        segments_of: Class names that the segments of a DICOM segmentation are matched with, or None.
        warnings: Gets what is odd.
    Raises: RefusedError: if a mask holds something that is no class.
    """
    if segments_of is not None and masks[0].segments:
        try:
            coding, others = segments_coding(masks[0].segments, segments_of)
        except UnknownLabel as error:
            raise RefusedError(masks[0].path, "unknown_label", str(error)) from None
        if others:
            reason = f"its segments {', '.join(others)} are no class of the set and count as background"
            warnings.append(Finding(masks[0].path, "other_segments", reason))
        return coding
    each = replace(coding, files=())
    if any(_means_its_palette(mask, each) for mask in masks):
        table: dict[float, int] = {}
        for mask in masks:
            numbers = _classes_of_values(mask, each)
            if any(table.get(value, number) != number for value, number in numbers.items()):
                reason = f"its palette gives a value another meaning under '{each}' than the other masks of its image"
                raise RefusedError(mask.path, "unknown_label", reason)
            table |= numbers
        each = LabelCoding("levels", table=tuple(sorted(table.items())))
    if not coding.files:
        return each
    masks_of_it = zip(pair.folder_of_masks, pair.masks, strict=True)
    return replace(each, files=tuple(coding.files[folder] for folder, file in masks_of_it if file is not None))


def _means_its_palette(mask: Picture, coding: LabelCoding) -> bool:
    """Whether a coding speaks of what the values of a mask look like, and not of the stored values.

    A 1-bit mask shows 255 where 1 is stored. Stored values that fit a coding themselves are what it speaks of.
    """
    if mask.palette is None or coding.kind == "index":
        return False
    if coding.kind.startswith("colours"):
        return True
    used = np.unique(mask.array)
    if coding.kind == "levels" and set(used.tolist()) <= {value for value, _ in coding.table}:
        return False
    if coding.kind == "threshold" and used.max() > coding.threshold:
        return False
    shown = _shown(mask, used)
    return bool((shown == shown[:, :1]).all())


def _shown(mask: Picture, used: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The colours of some stored values, shape (n, 3)."""
    palette = mask.palette
    if palette is None or used.max() >= len(palette):
        reason = f"value {used.max():g} lies beyond the {0 if palette is None else len(palette)} colours of its palette"
        raise RefusedError(mask.path, "unknown_label", reason)
    return palette[used]


def _classes_of_values(mask: Picture, coding: LabelCoding) -> dict[float, int]:
    """The class of each stored value of a mask."""
    colours = coding.kind.startswith("colours")
    if colours and mask.palette is None:
        raise RefusedError(mask.path, "unknown_label", "other masks of its image have a palette, it has none")
    used = np.unique(mask.array)
    if colours:
        meant = np.array([rgb_of(int(value)) for value, _ in coding.table], np.int32)
        nearest, squared = nearest_colour(_shown(mask, used), meant)
        if coding.kind == "colours-exact" and squared.any():
            raise RefusedError(mask.path, "unknown_label", f"its palette holds other colours than {coding}")
        numbers = [coding.table[k][1] for k in nearest]
    else:
        values = _shown(mask, used)[:, 0] if _means_its_palette(mask, coding) else used
        numbers = coding.decode(values[:, None])[:, 0].tolist()
    return dict(zip(map(float, used), numbers, strict=True))


def classes_of(
    masks: Sequence[Picture], files: tuple[str, ...], coding: LabelCoding, n_classes: int, warnings: list[Finding]
) -> NDArray[np.uint8]:
    """Classes of a picture's masks, each file decoded alone so that overlaps can be told.

    Args:
        masks: The masks, one or one a class.
        files: What they are called.
        coding: From `coding_of`.
        n_classes: Number of classes with the background.
        warnings: Gets what is odd.
    Returns: Class indices, (W, H).
    Raises: RefusedError: if a mask is coded otherwise.
    """
    if not coding.files:
        parts = [(0, *_decode_one(masks[0], files[0], coding, n_classes))]
        classes = parts[0][1]
    else:
        alone = [replace(coding, files=(number,)) for number in coding.files]
        parts = [
            (number, *_decode_one(mask, file, single, n_classes))
            for number, mask, file, single in zip(coding.files, masks, files, alone, strict=True)
        ]
        classes = np.zeros_like(parts[0][1])
        overlap = 0
        for number, part, _ in parts:
            overlap += int(np.count_nonzero((part != 0) & (classes != 0) & (classes != number)))
            classes[part != 0] = number
        if overlap:
            reason = f"{overlap} pixels belong to the masks of several classes; the later folder wins"
            warnings.append(Finding(files[0], "overlapping_masks", reason))
    for file, (_, part, strays) in zip(files, parts, strict=True):
        share = strays / part.size
        if share > MOST_STRAYS:
            reason = f"{share:.0%} of its pixels lie far from every value of '{coding}'"
            raise RefusedError(file, "unknown_label", reason)
        if share > STRAYS_WORTH_TELLING:
            reason = f"{share:.1%} of its pixels lie far from every value of '{coding}'; the nearest was taken"
            warnings.append(Finding(file, "stray_values", reason))
    return classes


def _decode_one(mask: Picture, file: str, coding: LabelCoding, n_classes: int) -> tuple[NDArray[np.uint8], int]:
    try:
        return coding.decode_counting(mask.array, n_classes=n_classes)
    except UnknownLabel as error:
        raise RefusedError(file, "unknown_label", str(error)) from None
