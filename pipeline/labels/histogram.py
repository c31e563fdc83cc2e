"""The stored values of the masks of a set, and what else of them speaks for a coding, counted in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.coding import GREY_TOLERANCE, largest_difference, pack_colours

__all__ = ["MaskHistogram"]

# A float picture taken for a mask has as many values as pixels: beyond this many only the frequent ones are kept.
MOST_VALUES = 65_536
# Channels of grey levels up to this are compared exactly: small values that differ are classes, and no noise.
SMALL_VALUE = 64


@dataclass
class MaskHistogram:
    """Counts of the stored values of many masks; memory stays bounded.

    Args:
        grey: Pixels by grey value.
        colours: Pixels by packed colour 0xRRGGBB, of the masks that are no grey stored as RGB.
        lossy: Whether a mask came from JPEG, so that small values may be noise.
        edge: Pixels of the outermost rows and columns, by grey value or packed colour.
        shown: Pixels by the packed colour that a palette shows them in, or that their grey value is.
        shown_edge: Those of the outermost rows and columns.
        meanings: The colours that each index is shown in, by the palettes of the masks.
        numbered: Masks that hold each whole number from 1 to n and no other, by n.
        others: The other masks with a foreground.
    """

    grey: Counter[float] = field(default_factory=Counter)
    colours: Counter[int] = field(default_factory=Counter)
    lossy: bool = False
    edge: Counter[float] = field(default_factory=Counter)
    shown: Counter[int] = field(default_factory=Counter)
    shown_edge: Counter[int] = field(default_factory=Counter)
    meanings: dict[int, frozenset[int]] = field(default_factory=dict)
    numbered: Counter[int] = field(default_factory=Counter)
    others: int = 0

    def add(self, mask: NDArray[Any], palette: NDArray[np.uint8] | None = None) -> None:
        """Count a mask, shape (W, H), (W, H, D), or colour (W, H, 3).

        Args:
            mask: Stored values.
            palette: Its colours, shape (n, 3), if it has some.
        """
        coloured = mask.ndim == 3 and mask.shape[2] in (3, 4)
        if coloured and not self._is_grey(mask):
            packed = pack_colours(mask)
            self.colours.update({int(colour): count for colour, count in _counted(packed).items()})
            self.edge.update(_counted(_edge_of(packed)))
        else:
            self._add_grey(mask[..., 1] if coloured else mask, palette)
        self._prune()

    def add_volume(self, mask: NDArray[Any]) -> None:
        """Count the mask of a volume, shape (W, H, D), whatever D is."""
        self._add_grey(mask, None)
        self._prune()

    def update(self, other: MaskHistogram) -> None:
        """Add another histogram's counts."""
        for name in COUNTS:
            getattr(self, name).update(getattr(other, name))
        self.lossy |= other.lossy
        self.others += other.others
        for index, colours in other.meanings.items():
            self.meanings[index] = self.meanings.get(index, frozenset()) | colours
        self._prune()

    @property
    def has_foreground(self) -> bool:
        """Whether any pixel differs from 0."""
        return bool(self.colours) or any(value != 0 for value in self.grey)

    @property
    def palettes_differ(self) -> bool:
        """Whether indices alone say nothing: one has several colours, or 0 is not black and another one is."""
        if any(len(colours) > 1 for colours in self.meanings.values()):
            return True
        first = self.meanings.get(0, frozenset({0}))
        return 0 not in first and any(0 in colours for colours in self.meanings.values())

    def _is_grey(self, mask: NDArray[Any]) -> bool:
        tolerance = GREY_TOLERANCE if self.lossy or mask.max(initial=0) > SMALL_VALUE else 0
        return all(largest_difference(mask[..., 1], mask[..., k]) <= tolerance for k in (0, 2))

    def _add_grey(self, grey: NDArray[Any], palette: NDArray[np.uint8] | None) -> None:
        counts, edge = _counted(grey), _counted(_edge_of(grey))
        self.grey.update(counts)
        self.edge.update(edge)
        for value, count in counts.items() if grey.dtype == np.uint8 else ():
            colour = int(value) * 0x010101
            if palette is not None:
                if value >= len(palette):
                    continue
                colour = int(pack_colours(palette[int(value)]))
                self.meanings[int(value)] = self.meanings.get(int(value), frozenset()) | {colour}
            self.shown[colour] += count
            self.shown_edge[colour] += edge.get(value, 0)
        found = sorted(value for value in counts if value != 0)
        if found and found == list(range(1, len(found) + 1)):
            self.numbered[len(found)] += 1
        else:
            self.others += bool(found)

    def _prune(self) -> None:
        for name in COUNTS:
            counts = getattr(self, name)
            if len(counts) > MOST_VALUES:
                setattr(self, name, Counter(dict(counts.most_common(MOST_VALUES // 2))))


COUNTS = ("grey", "colours", "edge", "shown", "shown_edge", "numbered")


def _counted(values: NDArray[Any]) -> dict[float, int]:
    """How often each value occurs."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, numbers = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def _edge_of(values: NDArray[Any]) -> NDArray[Any]:
    """The outermost columns and rows of a picture or of each slice, flat."""
    return np.concatenate([part.ravel() for part in (values[0], values[-1], values[1:-1, 0], values[1:-1, -1])])
