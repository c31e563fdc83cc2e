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
    pair: Pair, mask: Picture, coding: LabelCoding, segments_of: tuple[str, ...] | None, warnings: list[Finding]
) -> LabelCoding:
    """The set's coding for one pair: without the files that it lacks, in the indices of its palette or segments.

    Args:
        pair: The pair.
        mask: Its first mask.
        coding: The set's.
        segments_of: Class names that the segments of a DICOM segmentation are matched with, or None.
        warnings: Gets what is odd.
    Raises: RefusedError: if the mask holds something that is no class.
    """
    if segments_of is not None and mask.segments:
        try:
            coding, others = segments_coding(mask.segments, segments_of)
        except UnknownLabel as error:
            raise RefusedError(mask.path, "unknown_label", str(error)) from None
        if others:
            reason = f"its segments {', '.join(others)} are no class of the set and count as background"
            warnings.append(Finding(mask.path, "other_segments", reason))
        return coding
    if coding.files:
        present = tuple(n for n, file in zip(coding.files, pair.masks, strict=True) if file is not None)
        return replace(coding, files=present)
    if coding.kind.startswith("colours") and mask.palette is not None:
        used = np.unique(mask.array)
        meant = np.array([rgb_of(int(value)) for value, _ in coding.table], np.int32)
        nearest, squared = nearest_colour(mask.palette[used], meant)
        if coding.kind == "colours-exact" and squared.any():
            raise RefusedError(mask.path, "unknown_label", f"its palette holds other colours than {coding}")
        numbers = [coding.table[k][1] for k in nearest]
        return LabelCoding("levels", table=tuple(zip(map(float, used), numbers, strict=True)))
    return coding


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
