"""Pictures that are nearly the same: copies that were turned, mirrored, cropped, re-coded or made brighter.

Two steps. Each picture's nearest others are found from 16 × 16 means by matrix products, for all eight ways to lay it
down; then those few pairs are registered and compared in detail (`pipeline.fingerprint.registration`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline.fingerprint.registration import agreement
from pipeline.fingerprint.thumbnails import TURNS, turned

__all__ = ["NEARLY_THE_SAME", "Alike", "near_duplicates"]

# Agreement from which two pictures count as one. Of 448 chest films of as many people the most alike two have 0.90, of
# 88 eyes 0.84; copies turned by 5°, cropped or re-coded have 0.93 to 1, the same cell photographed twice has 0.93.
NEARLY_THE_SAME = 0.92
# Below it by this much, the pair is compared the other way round too: the result is nearly the same, not quite.
WORTH_A_SECOND_LOOK = 0.15
COARSE = 16
# Coarse pixels over which brightness and contrast are evened out: what is left tells pictures of one kind apart.
EVEN = 3.0
# Numbers in a table of likenesses: as many rows at once as that allows.
LIKENESSES_AT_ONCE = 1 << 20
PAIRS_AT_ONCE = 64
# How many of the nearest others are compared in detail: on other sides of the split, and on the same side.
NEAREST_ACROSS = 3
NEAREST_WITHIN = 1


@dataclass(frozen=True)
class Alike:
    """Two pictures that are nearly the same.

    Attributes:
        first: Place of one.
        second: Place of the other, above `first`.
        similarity: Their agreement.
        how: How the second was laid on the first, one of `TURNS`, or those with the brightness inverted.
    """

    first: int
    second: int
    similarity: float
    how: str


def near_duplicates(
    thumbnails: NDArray[np.uint8],
    sides: Sequence[int],
    least: float = NEARLY_THE_SAME,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Alike]:
    """The pairs of pictures that are nearly the same, the most alike first.

    Args:
        thumbnails: Shape (n, SIDE, SIDE).
        sides: The side of the split that each is on: copies on other sides are searched for harder.
        least: Agreement from which a pair counts.
        on_progress: Told the number of pairs compared in detail, and of all.
    Returns: Each picture's nearest others alone: of many copies of one picture, not every pair is listed.
    """
    pairs = _candidates(thumbnails, np.asarray(sides))
    found = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        some = pairs[start : start + PAIRS_AT_ONCE]
        second = np.stack([_laid(thumbnails[b], turn) for _, b, turn in some])
        scores = _both_ways(thumbnails[[a for a, _, _ in some]], second, least)
        found += [
            Alike(a, b, float(score), _named(turn))
            for (a, b, turn), score in zip(some, scores, strict=True)
            if score >= least
        ]
        on_progress(start + len(some), len(pairs))
    return sorted(found, key=lambda pair: (-round(pair.similarity, 6), pair.first, pair.second))


def _both_ways(first: NDArray[np.uint8], second: NDArray[np.uint8], least: float) -> NDArray[np.float64]:
    scores = agreement(first, second)
    again = scores >= least - WORTH_A_SECOND_LOOK
    if again.any():
        scores[again] = np.maximum(scores[again], agreement(second[again], first[again]))
    return scores


def _candidates(thumbnails: NDArray[np.uint8], sides: NDArray[np.int_]) -> list[tuple[int, int, int]]:
    """(first, second, turn) of the pairs that look most alike from afar; turn is 8 more if one is inverted."""
    n = len(thumbnails)
    if n < 2:
        return []
    coarse = _from_afar(thumbnails)
    own = coarse.reshape(n, -1)
    laid = [np.ascontiguousarray(turned(coarse, turn)).reshape(n, -1) for turn in range(len(TURNS))]
    best: dict[tuple[int, int], tuple[float, int]] = {}
    height = max(1, LIKENESSES_AT_ONCE // n)
    for start in range(0, n, height):
        rows = np.arange(start, min(start + height, n))
        likeness = np.full((len(rows), n), -np.inf, np.float32)
        how = np.zeros((len(rows), n), np.int8)
        for turn, others in enumerate(laid):
            product = own[rows] @ others.T
            for sign, number in ((1, turn), (-1, turn + len(TURNS))):
                better = sign * product > likeness
                likeness[better] = sign * product[better]
                how[better] = number
        likeness[np.arange(len(rows)), rows] = -np.inf
        same = sides[rows][:, None] == sides[None]
        for places, nearest in ((~same, NEAREST_ACROSS), (same, NEAREST_WITHIN)):
            masked = np.where(places, likeness, -np.inf)
            kept = min(nearest, n - 1)
            columns = np.argpartition(-masked, kept - 1, axis=1)[:, :kept]
            for row, column in zip(np.repeat(np.arange(len(rows)), kept), columns.ravel(), strict=True):
                if np.isfinite(masked[row, column]):
                    a, b, turn = int(rows[row]), int(column), int(how[row, column])
                    pair, turn = ((a, b), turn) if a < b else ((b, a), _reverse(turn))
                    best[pair] = max(best.get(pair, (-2.0, 0)), (float(masked[row, column]), turn))
    return [(a, b, turn) for (a, b), (_, turn) in sorted(best.items())]


def _from_afar(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Coarse pictures, evened out, of mean 0 and norm 1, shape (n, COARSE, COARSE)."""
    n, side, _ = thumbnails.shape
    box = side // COARSE
    means = thumbnails.reshape(n, COARSE, box, COARSE, box).mean((2, 4), dtype=np.float32)
    overall = means.std((1, 2), keepdims=True)
    means -= gaussian_filter(means, (0, EVEN, EVEN))
    means /= np.sqrt(gaussian_filter(means**2, (0, EVEN, EVEN))) + 0.05 * overall + 1e-3
    means -= means.mean((1, 2), keepdims=True)
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=(1, 2), keepdims=True), 1e-6))


def _laid(picture: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    down = turned(picture, turn % len(TURNS))
    return np.asarray(255 - down if turn >= len(TURNS) else down)


def _reverse(turn: int) -> int:
    """The turn that undoes another: those with a mirror undo themselves, a quarter turn is undone by three."""
    inverted, turn = divmod(turn, len(TURNS))
    back = turn if turn % 2 else (len(TURNS) - turn) % len(TURNS)
    return back + inverted * len(TURNS)


def _named(turn: int) -> str:
    inverted, turn = divmod(turn, len(TURNS))
    return f"{TURNS[turn]}, inverted" if inverted else TURNS[turn]
