"""Which nearly equal pictures are one picture, and which only share what all pictures of their kind show.

Slices of one sample show the same outline, and from afar nothing else: thumbnails cannot tell them apart. Where three
or more pictures are nearly equal by a chain of pairs, each pair is looked at again in more detail.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks.index.duplicates import SIDE

__all__ = ["particular_pairs", "told_apart"]

Pairs = Sequence[tuple[int, int]]
# Thumbnails of some pictures, given their positions, with so many means along a side; b"" where there is none.
Finer = Callable[[Sequence[int], int], Sequence[bytes]]

# Means along a side, and pixels that each is of at least: fewer would make copies of other size differ.
FINE_SIDES = (64, 32)
PIXELS_A_MEAN = 2
# Two pictures that differ by less, in the thumbnails' steps, are one: copies in JPEG of quality 20, or of half the size
# in quality 50, stay under it but for the smallest; slices of a cylinder with 1 % of pores are 3.5 to 4.4 apart.
SAME_IN_DETAIL = 2.5
# Or they share what the other pictures of their chain do not: neighbouring slices of a CT correlate by 0.9 to 0.99 once
# the mean of the others is taken off, slices of that cylinder by less than 0.2.
SHARE_THE_REST = 0.7
# Where the others are copies too, their mean is the picture itself, and only noise is left. Then what counts is whether
# detail is shared in most of PLACES × PLACES places and not at the outline alone: their median correlation. Slices of
# cylinders and of tubes stay under 0.3, of a tube in a holder under 0.42 (of 32 means a side: 0.3, 0.5, 0.8); copies so
# noisy that they are just alike from afar are above 0.6 for films, CT, fundus pictures and most smooth ones.
PLACES = 16
SHARE_DETAIL = 0.45


def particular_pairs(pairs: Pairs, shapes: Sequence[tuple[int, int]], finer: Finer) -> list[tuple[int, int]]:
    """The pairs that have more in common than their kind: all of those that stand alone, of a chain the confirmed ones.

    Args:
        pairs: Positions of nearly equal pictures, from `nearly_equal_pairs`.
        shapes: Width and height of every picture.
        finer: Makes finer thumbnails; asked for the pictures of chains alone.
    """
    kept = []
    for members, chained in _chains(pairs):
        shortest = min(min(shapes[k]) for k in members)
        side = next((side for side in FINE_SIDES if side * PIXELS_A_MEAN <= shortest), None)
        if len(members) == 2 or side is None:
            kept += chained
            continue
        small = dict(zip(members, finer(members, side), strict=True))
        kept += _confirmed(chained, {k: _numbers(one) for k, one in small.items() if one})
    return sorted(kept)


def told_apart(pairs: Pairs, kept: Pairs, subjects: Sequence[str], names: Sequence[str]) -> str:
    """A sentence on pairs that were not confirmed, or "": whoever knows the pictures can say that they are copies.

    Args:
        pairs: As given to `particular_pairs`.
        kept: What it gave back.
        subjects: The subject of every picture, those of confirmed pairs being one.
        names: What each picture is called.
    """
    confirmed = set(kept)
    others = [(a, b) for a, b in pairs if (a, b) not in confirmed and subjects[a] != subjects[b]]
    if not others:
        return ""
    first, second = others[0]
    what = "1 pair of pictures looks" if len(others) == 1 else f"{len(others)} pairs of pictures look"
    return (
        f"{what} alike from afar and {'was' if len(others) == 1 else 'were'} taken for different subjects by their "
        f"detail: e.g. {names[first]} and {names[second]}. If they are copies of one picture, name them as one subject "
        "(planar index --subjects)."
    )


def _chains(pairs: Pairs) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """The members of each chain, and its pairs."""
    others: dict[int, set[int]] = defaultdict(set)
    for first, second in pairs:
        others[first].add(second)
        others[second].add(first)
    chain_of: dict[int, int] = {}
    for start in sorted(others):
        waiting = [start] if start not in chain_of else []
        while waiting:
            one = waiting.pop()
            if chain_of.setdefault(one, start) == start:
                waiting += [other for other in others[one] if other not in chain_of]
    found: dict[int, tuple[list[int], list[tuple[int, int]]]] = {start: ([], []) for start in chain_of.values()}
    for member, start in sorted(chain_of.items()):
        found[start][0].append(member)
    for pair in pairs:
        found[chain_of[pair[0]]][1].append(pair)
    return list(found.values())


def _confirmed(pairs: Pairs, small: dict[int, NDArray[np.uint8]]) -> list[tuple[int, int]]:
    total = np.sum([one.astype(np.float64) for one in small.values()], axis=0) if small else np.zeros(SIDE)
    kept = []
    for first, second in pairs:
        if first not in small or second not in small:  # what cannot be looked at stays as it was
            kept.append((first, second))
            continue
        a, b = small[first].astype(np.float64), small[second].astype(np.float64)
        same = np.sqrt(((a - b) ** 2).mean()) <= SAME_IN_DETAIL
        others = len(small) - 2
        rest = bool(others) and _correlation(a, b, (total - a - b) / others) >= SHARE_THE_REST
        if same or rest or _shared_detail(a, b) >= SHARE_DETAIL:
            kept.append((first, second))
    return kept


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64], common: NDArray[np.float64]) -> float:
    """Correlation of two pictures once what others show too is taken off."""
    one, other = a - common, b - common
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / scale) if scale > 0 else 1.0


def _shared_detail(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The median correlation of two pictures in their places; a place without detail has none."""
    one, other = _places(a), _places(b)
    scale = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return float(np.median((one * other).sum(1) / np.maximum(scale, 1e-9)))


def _places(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """A thumbnail as PLACES × PLACES rows of numbers, each less its mean."""
    side = math.isqrt(len(picture)) // PLACES
    rows = picture.reshape(PLACES, side, PLACES, side).swapaxes(1, 2).reshape(PLACES * PLACES, -1)
    return rows - rows.mean(1, keepdims=True)


def _numbers(small: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(small, np.uint8)
