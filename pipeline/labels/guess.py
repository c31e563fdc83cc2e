"""Guessing the label coding from the values of all masks of a set, or saying which option settles it.

A guess is made only where it cannot lose a class: exact values, or two peaks with noise around them. Everything else
(anti-aliased colours, stray grey levels) raises with the most frequent values and an option ready to paste.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnknownLabel
from pipeline.labels.coding import GREY_TOLERANCE, LabelCoding, largest_difference, nearest_colour, pack_colours, rgb_of

__all__ = ["MaskHistogram", "colour_clusters", "guess_coding"]

# A float picture taken for a mask has as many values as pixels: beyond this many only the frequent ones are kept.
MOST_VALUES = 65_536
FEW_VALUES = 32

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


@dataclass
class MaskHistogram:
    """Counts of the stored values of many masks; memory stays bounded.

    Args:
        grey: Pixels by grey value.
        colours: Pixels by packed colour 0xRRGGBB, of the masks that are no grey stored as RGB.
        lossy: Whether a mask came from JPEG, so that small values may be noise.
    """

    grey: Counter[float] = field(default_factory=Counter)
    colours: Counter[int] = field(default_factory=Counter)
    lossy: bool = False

    def add(self, mask: NDArray[Any]) -> None:
        """Count a mask, shape (W, H), (W, H, D), or colour (W, H, 3)."""
        coloured = mask.ndim == 3 and mask.shape[2] in (3, 4)
        if coloured and not all(largest_difference(mask[..., 1], mask[..., k]) <= GREY_TOLERANCE for k in (0, 2)):
            values, counts = np.unique(pack_colours(mask), return_counts=True)
            self.colours.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        elif coloured:
            self._add_grey(mask[..., 1])
        else:
            self._add_grey(mask)
        self._prune()

    def add_volume(self, mask: NDArray[Any]) -> None:
        """Count the mask of a volume, shape (W, H, D), whatever D is."""
        self._add_grey(mask)
        self._prune()

    def _add_grey(self, grey: NDArray[Any]) -> None:
        if grey.dtype == np.uint8:
            counts = np.bincount(grey.ravel(), minlength=256)
            self.grey.update({int(value): int(counts[value]) for value in np.flatnonzero(counts)})
        else:
            values, numbers = np.unique(grey, return_counts=True)
            self.grey.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))

    def update(self, other: MaskHistogram) -> None:
        """Add another histogram's counts."""
        self.grey.update(other.grey)
        self.colours.update(other.colours)
        self.lossy |= other.lossy
        self._prune()

    @property
    def has_foreground(self) -> bool:
        """Whether any pixel differs from 0."""
        return bool(self.colours) or any(value != 0 for value in self.grey)

    def _prune(self) -> None:
        for name in ("grey", "colours"):
            counts = getattr(self, name)
            if len(counts) > MOST_VALUES:
                setattr(self, name, Counter(dict(counts.most_common(MOST_VALUES // 2))))


def guess_coding(histogram: MaskHistogram, *, n_classes: int | None = None) -> LabelCoding:
    """The label coding that a set's mask values speak for.

    Args:
        histogram: Values of all masks of one folder.
        n_classes: Number of classes with the background, if the user named them.
    Returns: A coding of kind index, threshold, levels or colours.
    Raises: UnknownLabel: if the values leave their meaning open; the message names the option that settles it.
    """
    if histogram.colours:
        if any(value > GREY_TOLERANCE for value in histogram.grey):
            raise UnknownLabel(
                "Some masks are grey and some coloured: index them as two sets, or say what the colours mean with "
                f"--colours. Most frequent colours: {frequent(histogram.colours, '#{:06x}')}."
            )
        return _guess_colours(histogram)
    return _guess_grey(histogram, n_classes)


def _guess_colours(histogram: MaskHistogram) -> LabelCoding:
    # Black masks of a coloured set were counted as grey.
    counts = histogram.colours + Counter({0: sum(histogram.grey.values())})
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
    total = sum(counts.values())
    levels = sorted(value for value, count in counts.most_common(8) if count >= 1e-3 * total) or values[:2]
    suggestion = ",".join(f"{value:g}={'background' if k == 0 else f'class_{k}'}" for k, value in enumerate(levels))
    raise UnknownLabel(
        f"The values of the masks leave their meaning open: {len(values)} values, the most frequent "
        f"{frequent(counts, '{:g}')}. Say what they mean, e.g. --levels {suggestion} or --threshold {values[-1] / 2:g}."
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
