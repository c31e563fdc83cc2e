"""Which class each segment of a DICOM segmentation is, by its label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pipeline.errors import UnknownLabel
from pipeline.labels.coding import LabelCoding

__all__ = ["classes_of_segments", "segments_coding"]

Segments = Sequence[tuple[int, str]]  # number and label

LARGEST_CLASS = 255


def classes_of_segments(segmentations: Iterable[Segments]) -> tuple[str, ...]:
    """Names of the classes that several segmentations have, in the order of their numbers; alike labels are one.

    Raises: UnknownLabel: if there are none, or more than a mask can hold.
    """
    named: dict[frozenset[str], tuple[int, str]] = {}
    for segments in segmentations:
        for number, label in segments:
            if number == 0:  # the background of a label map
                continue
            named.setdefault(_words(label) or frozenset({str(number)}), (number, _as_name(label, number)))
    if not 0 < len(named) <= LARGEST_CLASS:
        raise UnknownLabel(f"The segmentations hold {len(named)} different segments; expected 1 to {LARGEST_CLASS}.")
    return tuple(name for _, name in sorted(named.values()))


def segments_coding(segments: Segments, labels: Sequence[str]) -> tuple[LabelCoding, tuple[str, ...]]:
    """How the segment numbers of one segmentation become classes.

    Labels match by their words, whatever their order, case and punctuation: "Lung, left" is `left_lung`. A single
    segment is the single class, however it is called.

    Args:
        segments: Of the segmentation.
        labels: Classes of the task, background first.
    Returns: The coding, and the labels of segments that are no class and become background.
    Raises: UnknownLabel: if no segment is a class.
    """
    classes = {_words(name): number for number, name in enumerate(labels) if number}
    single = len(segments) == 1 and len(labels) == 2
    known = {number: 1 if single else classes.get(_words(_as_name(label, number)), 0) for number, label in segments}
    if segments and not any(known.values()):
        found = ", ".join(_as_name(label, number) for number, label in segments)
        raise UnknownLabel(f"its segments ({found}) are none of the classes {', '.join(labels[1:])}")
    others = tuple(_as_name(label, number) for number, label in segments if not known[number])
    return LabelCoding("levels", table=((0.0, 0), *((float(n), known[n]) for n in sorted(known) if n))), others


def _words(label: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", label.lower()))


def _as_name(label: str, number: int) -> str:
    """A label as the name of a class: in small letters, words joined by underscores."""
    return "_".join(re.findall(r"[^\W_]+", label.lower())) or f"segment_{number}"
