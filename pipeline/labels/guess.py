"""Guessing the label coding from the values of all masks of a set, or saying which option settles it.

A guess is made only where it cannot lose a class: exact values, or two peaks with noise around them. Everything else
(anti-aliased colours, stray grey levels) raises with the most frequent values and an option ready to paste.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np

from pipeline.errors import UnknownLabel
from pipeline.labels.coding import GREY_TOLERANCE, LabelCoding, nearest_colour, rgb_of
from pipeline.labels.histogram import MaskHistogram

__all__ = ["colour_clusters", "guess_coding", "surrounding_value", "zero_may_be_the_object"]

FEW_VALUES = 32
# Background lies at the edge of nearly all pictures; what has less than this share of the edges is in the middle.
HARDLY_AT_THE_EDGE, MOST_OF_THE_EDGE = 0.01, 0.9
# Fewer values than this are classes, whatever each mask holds of them. Numbered objects come in several numbers, and
# nearly all of the masks have each number up to theirs: one may have lost an object.
MANY_OBJECTS, SEVERAL_COUNTS, NEARLY_ALL = 6, 3, 0.9

CORNER_NAMES = {
    0x000000: "black",
    0xFF0000: "red",
    0x00FF00: "green",
    0x0000FF: "blue",
    0xFFFF00: "yellow",
    0xFF00FF: "magenta",
    0x00FFFF: "cyan",
    0xFFFFFF: "white",
}


def guess_coding(histogram: MaskHistogram, *, n_classes: int | None = None) -> LabelCoding:
    """The label coding that a set's mask values speak for.

    Args:
        histogram: Values of all masks of one folder.
        n_classes: Number of classes with the background, if the user named them.
    Returns: A coding of kind index, threshold, levels or colours.
    Raises: UnknownLabel: if the values leave their meaning open; the message names the option that settles it.
    """
    coding = _guess_colours(histogram.shown) if histogram.palettes_differ else _guess_stored(histogram, n_classes)
    if n_classes is None:
        _require_classes(histogram, coding)
    return coding


def zero_may_be_the_object(histogram: MaskHistogram) -> bool:
    """Whether 0 lies in the middle of the masks, surrounded by another value: the object may be black on white."""
    edge = _edge_of(histogram)
    total, around = sum(edge.values()), surrounding_value(histogram)
    return around != 0 and edge[around] > MOST_OF_THE_EDGE * total and edge[0] < HARDLY_AT_THE_EDGE * total


def surrounding_value(histogram: MaskHistogram) -> float:
    """The grey value or packed colour that most of the masks' edges have."""
    edge = _edge_of(histogram)
    return max(edge, key=lambda value: edge[value], default=0)


def _edge_of(histogram: MaskHistogram) -> Counter[Any]:
    return histogram.shown_edge if histogram.palettes_differ else histogram.edge


def _require_classes(histogram: MaskHistogram, coding: LabelCoding) -> None:
    """Raise UnknownLabel where several values are hardly the classes that they were taken for."""
    if coding.kind == "threshold":
        return
    if coding.kind in ("index", "levels") and _are_numbered_objects(histogram):
        raise UnknownLabel(_numbered_objects(histogram))
    counts: Counter[Any] = histogram.shown if histogram.palettes_differ else histogram.colours or histogram.grey
    if len(counts) > 2 and zero_may_be_the_object(histogram):
        around = surrounding_value(histogram)
        coloured = coding.kind == "colours"
        option, pattern = ("--colours", "#{:06x}") if coloured else ("--levels", "{:g}")
        others = [value for value in sorted(counts) if value != around]
        names = [f"{pattern.format(value)}=class_{k}" for k, value in enumerate(others, 1)]
        raise UnknownLabel(
            f"In the masks {pattern.format(around)} surrounds everything and {pattern.format(0)} is in the middle: "
            f"which is the background? Say what the values mean, e.g. {option} "
            f"'{pattern.format(around)}=background,{','.join(names)}'."
        )


def _are_numbered_objects(histogram: MaskHistogram) -> bool:
    """Whether masks hold the numbers 1 to n with several n: of classes, one n would be usual, or gaps."""
    numbered = sum(histogram.numbered.values())
    masks = numbered + histogram.others
    return (
        max(histogram.numbered, default=0) >= MANY_OBJECTS
        and len(histogram.numbered) >= SEVERAL_COUNTS
        and numbered >= NEARLY_ALL * masks
        and max(histogram.numbered.values()) < 0.5 * masks
    )


def _numbered_objects(histogram: MaskHistogram) -> str:
    low, high = min(histogram.numbered), max(histogram.numbered)
    return (
        f"The masks hold the numbers 1 to n, with n from {low} to {high}: numbered objects, it seems. --threshold 0 "
        f"makes them one class. If the numbers are classes, name them all with --class-names."
    )


def _guess_stored(histogram: MaskHistogram, n_classes: int | None) -> LabelCoding:
    """The coding of the stored values, whatever a palette shows them as."""
    if histogram.colours:
        if any(value > GREY_TOLERANCE for value in histogram.grey):
            raise UnknownLabel(
                "Some masks are grey and some coloured: index them as two sets, or say what the colours mean with "
                f"--colours. Most frequent colours: {frequent(histogram.colours, '#{:06x}')}."
            )
        # Black masks of a coloured set were counted as grey.
        return _guess_colours(histogram.colours + Counter({0: sum(histogram.grey.values())}))
    return _guess_grey(histogram, n_classes)


def _guess_colours(counts: Counter[int]) -> LabelCoding:
    background = 0x000000 if 0x000000 in counts else None
    if background is None or len(counts) > FEW_VALUES or _closest(list(counts)) < 64:
        suggestion = ",".join(
            f"#{colour:06x}={'background' if colour == background or (background is None and k == 0) else name}"
            for k, (colour, name) in enumerate(colour_clusters(counts).items())
        )
        raise UnknownLabel(
            f"The colours of the masks leave their meaning open: {len(counts)} colours, the most frequent "
            f"{frequent(counts, '#{:06x}')}. Say what they mean, e.g. --colours '{suggestion}' (the nearest is taken)."
        )
    ordered = [background, *sorted(colour for colour in counts if colour != background)]
    return LabelCoding("colours", table=tuple((colour, k) for k, colour in enumerate(ordered)))


def _guess_grey(histogram: MaskHistogram, n_classes: int | None) -> LabelCoding:
    counts = histogram.grey
    values = sorted(counts)
    whole = all(value == int(value) for value in values if np.isfinite(value)) and all(map(np.isfinite, values))
    if not histogram.has_foreground:
        raise UnknownLabel("Every mask is empty: no pixel differs from 0. Check that these are the masks.")
    if values[0] == 0 and whole:
        largest = int(values[-1])
        if n_classes is not None and n_classes > 2 and largest < n_classes and not histogram.lossy:
            return LabelCoding("index")
        if len(values) == 2:
            return LabelCoding("index") if largest == 1 else LabelCoding("threshold", threshold=largest // 2)
        if not histogram.lossy and values == list(range(largest + 1)) and largest < FEW_VALUES:
            return LabelCoding("index")
        exact = largest < FEW_VALUES or min(np.diff(values)) >= 8
        if exact and len(values) <= FEW_VALUES and not histogram.lossy:
            return LabelCoding("levels", table=tuple((value, k) for k, value in enumerate(values)))
        # Blur reaches both peaks. Exact small values below one that stands alone are classes, and it may be "ignore".
        blurred = histogram.lossy or any(0.75 * largest < value < largest for value in values)
        if blurred and _two_peaks(counts, largest):
            return LabelCoding("threshold", threshold=largest // 2)
    elif values[0] == 0 and len(values) == 2:
        return LabelCoding("threshold", threshold=values[1] / 2)
    if whole and _are_numbered_objects(histogram):
        raise UnknownLabel(_numbered_objects(histogram))
    total = sum(counts.values())
    # Noise or blur reaches up to a peak; of many numbers none is more frequent than those below it.
    above = sum(count for value, count in counts.items() if value >= 0.75 * values[-1])
    between = sum(count for value, count in counts.items() if 0 < value < 0.75 * values[-1])
    limit = values[-1] / 2 if histogram.lossy or above >= between else 0
    levels = sorted(value for value, count in counts.most_common(8) if count >= 1e-3 * total) or values[:2]
    suggestion = ",".join(f"{value:g}={'background' if k == 0 else f'class_{k}'}" for k, value in enumerate(levels))
    raise UnknownLabel(
        f"The values of the masks leave their meaning open: {len(values)} values, the most frequent "
        f"{frequent(counts, '{:g}')}. Say what they mean, e.g. --levels {suggestion} or --threshold {limit:g}."
    )


def _two_peaks(counts: Counter[float], largest: int) -> bool:
    """Whether a histogram is 0 and one other value, blurred by JPEG or anti-aliasing, with no third peak between."""
    if largest < 100:
        return False
    total = sum(counts.values())
    between = np.array([counts[value] for value in range(largest // 4, largest - largest // 4)])
    # Blur spreads evenly over the values between; a class of its own, noisy or not, is a hump some values wide.
    humps = np.convolve(between, np.ones(9) / 9, mode="valid")
    return between.sum() <= 0.03 * total and humps.max() <= max(3 * between.mean(), 1e-6 * total)


def _closest(colours: list[int]) -> float:
    """The smallest Euclidean distance between two of some colours; infinite for fewer than two."""
    rgb = np.array([rgb_of(colour) for colour in colours])
    apart = np.sqrt(((rgb[:, None] - rgb[None]) ** 2).sum(-1))
    return float(apart[~np.eye(len(rgb), dtype=bool)].min(initial=np.inf))


def colour_clusters(counts: Counter[int], *, apart: float = 96.0, share: float = 1e-3) -> dict[int, str]:
    """The colours that a set probably means, most frequent first, with a name for each.

    Args:
        counts: Pixels by packed colour.
        apart: Smallest distance between two meant colours, in RGB.
        share: Smallest share of all pixels that lie nearest to a meant colour.
    """
    chosen: list[int] = []
    for colour, _ in counts.most_common(512):
        if _closest([colour, *chosen]) >= apart and not _is_blend(colour, chosen):
            chosen.append(colour)
    values = np.array(list(counts))
    channels = np.stack([values >> 16 & 255, values >> 8 & 255, values & 255], -1)
    nearest, squared = nearest_colour(channels, np.array([rgb_of(colour) for colour in chosen], np.int32))
    weights = np.where(squared <= (apart / 2) ** 2, np.array(list(counts.values())), 0)
    mass = np.bincount(nearest, weights, minlength=len(chosen)) / sum(counts.values())
    return {colour: colour_name(colour) for colour, part in zip(chosen, mass, strict=True) if part >= share}


def _is_blend(colour: int, others: list[int], within: float = 48.0) -> bool:
    """Whether a colour lies on the line between two others, as the anti-aliased edge between them does."""
    point = np.array(rgb_of(colour), float)
    for first, second in itertools.combinations(others, 2):
        start, end = np.array(rgb_of(first), float), np.array(rgb_of(second), float)
        along = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
        if np.linalg.norm(start + along * (end - start) - point) < within:
            return True
    return False


def colour_name(colour: int) -> str:
    """The name of a nearly pure colour, such as "red"; else `colour_rrggbb`."""
    corners = list(CORNER_NAMES)
    nearest, squared = nearest_colour(np.array([rgb_of(colour)]), np.array([rgb_of(c) for c in corners], np.int32))
    return CORNER_NAMES[corners[nearest[0]]] if squared[0] < 64**2 else f"colour_{colour:06x}"


def frequent(counts: Counter[Any], pattern: str, most: int = 6) -> str:
    """The most frequent values with their share, for a message."""
    total = sum(counts.values())
    return ", ".join(f"{pattern.format(value)} ({count / total:.2%})" for value, count in counts.most_common(most))
