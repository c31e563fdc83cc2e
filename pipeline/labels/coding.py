"""The label coding: a short string that says how stored mask pixels become class indices.

It is kept with each item of a datalist, so that a mask can stay as it is on disk::

    index                                  the pixel value is the class
    threshold:127                          class 1 where the value exceeds 127 (JPEG-noisy or 0/255 masks)
    levels:0=0,128=1,255=2                 the nearest grey level
    colours:#000000=0,#0000ff=1            the nearest colour, Euclidean in RGB (anti-aliased edges)
    colours-exact:#000000=0,#0000ff=1      these colours alone
    threshold:127@1,2                      two mask files of one case: the foreground of file k becomes class 1, 2
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnknownLabel

__all__ = ["LabelCoding", "nearest_colour", "parse_colour", "rgb_of"]

Classes = NDArray[np.uint8]

KINDS = ("index", "threshold", "levels", "colours", "colours-exact")

# Channels of a grey picture that was stored as RGB may differ by this much after JPEG's colour conversion.
GREY_TOLERANCE = 8


@dataclass(frozen=True)
class LabelCoding:
    """How the pixels of a mask become class indices; see the module's docstring for the kinds.

    Args:
        kind: One of "index", "threshold", "levels", "colours", "colours-exact".
        threshold: The value that class 1 exceeds, for kind "threshold".
        table: (stored value, class) pairs: grey levels, or colours packed as 0xRRGGBB.
        files: For a case with one mask file per class: the class of each file's foreground.
    """

    kind: str
    threshold: float = 0.0
    table: tuple[tuple[float, int], ...] = ()
    files: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LabelCoding:
        """Read a coding from its string.

        Raises: UnknownLabel: if the string is not a coding.
        """
        body, at, files_text = text.strip().partition("@")
        kind, _, rest = body.partition(":")
        kind = kind.replace("colors", "colours")
        try:
            files = tuple(int(part) for part in files_text.split(",")) if at else ()
            if kind == "index" and not rest:
                coding = cls(kind, files=files)
            elif kind == "threshold":
                coding = cls(kind, threshold=float(rest), files=files)
            elif kind in KINDS and kind != "index":
                pairs = [part.partition("=") for part in rest.split(",")]
                value_of = float if kind == "levels" else parse_colour
                coding = cls(kind, table=tuple((value_of(value), int(name)) for value, _, name in pairs), files=files)
            else:
                raise ValueError(f"unknown kind {kind!r}")
            coding._check()
        except ValueError as error:
            raise UnknownLabel(
                f"Label coding {text!r} cannot be read: {error}. Expected e.g. index, threshold:127, "
                "levels:0=0,128=1,255=2, colours:#000000=0,#0000ff=1."
            ) from None
        return coding

    def _check(self) -> None:
        classes = [*self.files, *(number for _, number in self.table)]
        if any(not 0 <= number <= 255 for number in classes):
            raise ValueError("classes must lie in 0..255")
        if len({value for value, _ in self.table}) < len(self.table):
            raise ValueError("a stored value is named twice")

    def __str__(self) -> str:
        rest = ""
        if self.kind == "threshold":
            rest = f":{self.threshold:g}"
        elif self.kind == "levels":
            rest = ":" + ",".join(f"{value:g}={number}" for value, number in self.table)
        elif self.table:
            rest = ":" + ",".join(f"#{int(value):06x}={number}" for value, number in self.table)
        files = "@" + ",".join(map(str, self.files)) if self.files else ""
        return f"{self.kind}{rest}{files}"

    @cached_property
    def known_classes(self) -> frozenset[int] | None:
        """The classes that the coding can give, 0 included where it can; None if the pixels alone decide."""
        if self.files:
            return frozenset({0, *self.files})
        if self.kind == "index":
            return None
        if self.kind == "threshold":
            return frozenset({0, 1})
        return frozenset(number for _, number in self.table)

    def decode(self, mask: NDArray[Any], *, n_classes: int | None = None) -> Classes:
        """Class indices of a stored mask.

        Args:
            mask: Shape (W, H); (W, H, 3) for colours or grey stored as RGB; (W, H, n) for n mask files of one case.
            n_classes: Number of classes with the background, if known: an index beyond them is refused.
        Returns: Class indices, shape (W, H).
        Raises: UnknownLabel: if a pixel or the shape does not fit the coding.
        """
        return self.decode_counting(mask, n_classes=n_classes)[0]

    def decode_counting(self, mask: NDArray[Any], *, n_classes: int | None = None) -> tuple[Classes, int]:
        """As `decode`, with the number of stray pixels.

        A stray is a pixel that was given to the nearest level or colour although it lies further from it than half
        the smallest distance between two of them.
        """
        if self.files:
            classes, strays = self._decode_files(mask)
        elif self.kind.startswith("colours"):
            classes, strays = self._decode_colours(mask)
        else:
            # Of small numbers each is a class of its own, and none is noise.
            tolerance = 0 if self.kind == "index" else GREY_TOLERANCE
            classes, strays = self._decode_grey(as_grey(mask, str(self), tolerance))
        if n_classes is not None and classes.size and int(classes.max()) >= n_classes:
            unknown = np.unique(classes[classes >= n_classes])
            raise UnknownLabel(
                f"Mask holds the classes {listed(unknown)} but the task knows 0..{n_classes - 1}. "
                "Name all classes or correct the mask."
            )
        return classes, strays

    def _decode_files(self, mask: NDArray[Any]) -> tuple[Classes, int]:
        single = LabelCoding(self.kind, self.threshold, self.table)
        if len(self.files) == 1:
            foregrounds = [mask]
        elif mask.ndim == 3 and mask.shape[2] == len(self.files):
            foregrounds = [mask[:, :, k] for k in range(mask.shape[2])]
        else:
            raise UnknownLabel(
                f"Label coding {self} expects {len(self.files)} mask files stacked as (W, H, {len(self.files)}), "
                f"got shape {mask.shape}. Index the set again."
            )
        merged = np.zeros(mask.shape[:2], np.uint8)
        strays = 0
        for foreground, number in zip(foregrounds, self.files, strict=True):
            classes, count = single.decode_counting(foreground)
            merged[classes != 0] = number
            strays += count
        return merged, strays

    def _decode_grey(self, grey: NDArray[Any]) -> tuple[Classes, int]:
        if self.kind == "threshold":
            return (grey > self.threshold).view(np.uint8), 0
        if self.kind == "index":
            return as_index(grey), 0
        levels, numbers = sorted_table(self.table)
        gaps = np.diff(levels)
        nearest = np.searchsorted((levels[:-1] + levels[1:]) / 2, grey.astype(np.float32, copy=False), side="left")
        reach = gaps.min() / 2 if gaps.size else np.inf
        strays = int(np.count_nonzero(np.abs(grey - levels[nearest].astype(np.float32)) > reach))
        return numbers[nearest], strays

    def _decode_colours(self, mask: NDArray[Any]) -> tuple[Classes, int]:
        if mask.ndim != 3 or mask.shape[2] not in (3, 4):
            raise UnknownLabel(
                f"Label coding {self} expects a colour mask (W, H, 3), got a grey one of shape {mask.shape}. "
                "Use --levels or --threshold for grey masks."
            )
        rgb = np.array([rgb_of(int(value)) for value, _ in self.table], np.int32)
        nearest, squared = nearest_colour(mask, rgb)
        numbers = np.array([number for _, number in self.table], np.uint8)
        if self.kind == "colours-exact":
            wrong = squared > 0
            if wrong.any():
                found = np.unique(pack_colours(mask[wrong][:, :3]))
                raise UnknownLabel(
                    f"Mask holds {np.count_nonzero(wrong)} pixels of other colours than {self}: "
                    f"{listed([f'#{value:06x}' for value in found])}. Drop --exact to take the nearest colour."
                )
            return numbers[nearest], 0
        apart = ((rgb[:, None] - rgb[None]) ** 2).sum(-1)
        reach = apart[apart > 0].min() / 4 if len(rgb) > 1 else np.inf
        return numbers[nearest], int(np.count_nonzero(squared > reach))


def as_grey(mask: NDArray[Any], coding: str, tolerance: float = GREY_TOLERANCE) -> NDArray[Any]:
    """The one grey channel, shape (W, H), of a mask that may have been stored as RGB."""
    if mask.ndim == 2:
        return mask
    if mask.ndim == 3 and mask.shape[2] == 1:
        return mask[:, :, 0]
    if mask.ndim == 3 and mask.shape[2] in (3, 4):
        grey = mask[:, :, 1]
        if all(largest_difference(grey, mask[:, :, k]) <= tolerance for k in (0, 2)):
            return grey
    raise UnknownLabel(
        f"Label coding {coding} expects a grey mask (W, H), got colours or several files, shape {mask.shape}. "
        "Use --colours for colour-coded masks."
    )


def largest_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest absolute difference of two arrays, without wrapping unsigned values."""
    return float(np.max(np.maximum(a, b) - np.minimum(a, b), initial=0))


def as_index(grey: NDArray[Any]) -> Classes:
    """Pixel values as class indices.

    Raises: UnknownLabel: if a value is no whole number in 0..255.
    """
    if grey.dtype == np.uint8:
        return grey.copy()
    if grey.dtype == bool:
        return grey.astype(np.uint8)
    # The comparison is false for NaN, so that NaN is refused too.
    good = (grey >= 0) & (grey <= 255)
    if grey.dtype.kind == "f":
        good &= grey == np.floor(grey)
    if not good.all():
        raise UnknownLabel(
            f"Mask holds values that are no class index (0..255): {listed(np.unique(grey[~good]))}. "
            "Say what the values mean with --levels or --threshold."
        )
    return grey.astype(np.uint8)


def sorted_table(table: tuple[tuple[float, int], ...]) -> tuple[NDArray[np.float64], Classes]:
    """Levels in ascending order and their classes."""
    ordered = sorted(table)
    return np.array([value for value, _ in ordered]), np.array([number for _, number in ordered], np.uint8)


def nearest_colour(picture: NDArray[Any], rgb: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Index of the nearest of some colours for each pixel, and its squared distance; the first wins a draw.

    Args:
        picture: Values 0..255, shape (…, 3) or (…, 4); a fourth channel is ignored.
        rgb: Colours, shape (n, 3).
    Returns: Indices into `rgb` and squared Euclidean distances, shape (…).
    """
    channels = [np.ascontiguousarray(picture[..., k], dtype=np.int32) for k in range(3)]
    nearest = np.zeros(picture.shape[:-1], np.intp)
    best = np.full(picture.shape[:-1], np.iinfo(np.int32).max, np.int32)
    for number, colour in enumerate(rgb):
        squared = (channels[0] - colour[0]) ** 2
        squared += (channels[1] - colour[1]) ** 2
        squared += (channels[2] - colour[2]) ** 2
        nearest[squared < best] = number
        np.minimum(best, squared, out=best)
    return nearest, best


def pack_colours(picture: NDArray[Any]) -> NDArray[np.int32]:
    """Colours (…, 3) as one number 0xRRGGBB each."""
    channels = picture[..., :3].astype(np.int32)
    return (channels[..., 0] << 16) | (channels[..., 1] << 8) | channels[..., 2]


def parse_colour(text: str) -> int:
    """`#rrggbb` as 0xRRGGBB.

    Raises: ValueError: if it is not written so.
    """
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", text.strip()):
        raise ValueError(f"{text!r} is not a colour like #0000ff")
    return int(text.strip().lstrip("#"), 16)


def rgb_of(packed: int) -> tuple[int, int, int]:
    """0xRRGGBB as (red, green, blue)."""
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255


def listed(values: Any, most: int = 8) -> str:
    """The first few of some values, for a message."""
    shown = [value if isinstance(value, str) else f"{value:g}" for value in list(values)[:most]]
    return ", ".join(shown) + (f" … ({len(values)} in all)" if len(values) > most else "")
