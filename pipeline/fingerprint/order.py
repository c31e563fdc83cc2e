"""Whether a set is a stack: slices of one volume, frames of one film, told by neighbours in name that look alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.fingerprint.registration import agreement

__all__ = ["Order", "order_of"]

# Pairs that are compared; a sample is enough to tell, whatever the size of the set.
SAMPLE = 150
FEWEST = 8
# How often a neighbour must be more alike than a stranger. 0.5 is chance; chest films sorted by number have 0.6,
# slices of one volume 0.85 to 1.
STACKED = 0.8
PAIRS_AT_ONCE = 64


@dataclass(frozen=True)
class Order:
    """How alike pictures are that follow one another in the order of their names.

    Attributes:
        neighbours: Median agreement of neighbours.
        others: Median agreement of pictures further apart.
        above: The chance that a neighbour is more alike than another; 0.5 says that the order means nothing.
        stacked: Whether that is so often that the pictures are slices or frames of one thing.
        across: (first, second, similarity) of neighbours on two sides of the split, if the set is stacked and they
            are more alike than nearly all that are further apart.
    """

    neighbours: float
    others: float
    above: float
    stacked: bool
    across: tuple[tuple[int, int, float], ...] = ()


def order_of(thumbnails: NDArray[np.uint8], sides: NDArray[np.int_], seed: int = 0) -> Order | None:
    """Compare neighbours in order with others.

    Args:
        thumbnails: Shape (n, SIDE, SIDE), in the order of the names.
        sides: The side of the split that each is on.
        seed: For the sample of pairs.
    Returns: None for fewer than eight pictures.
    """
    n = len(thumbnails)
    if n < FEWEST:
        return None
    random = np.random.default_rng(seed)
    first = np.sort(random.permutation(n - 1)[:SAMPLE])
    near = _agreements(thumbnails, first, first + 1)
    # A step of 2 to n − 2 round the ring of names never leads to a neighbour but between the two ends.
    start = random.integers(0, n, SAMPLE)
    far = _agreements(thumbnails, start, (start + random.integers(2, n - 1, SAMPLE)) % n)
    above = float((near[:, None] > far[None]).mean())
    if above < STACKED:
        return Order(float(np.median(near)), float(np.median(far)), above, stacked=False)
    crossing = np.flatnonzero(sides[1:] != sides[:-1])
    scores = _agreements(thumbnails, crossing, crossing + 1)
    unusual = scores > np.quantile(far, 0.95)
    across = tuple(
        (int(k), int(k) + 1, float(score)) for k, score in zip(crossing[unusual], scores[unusual], strict=True)
    )
    return Order(float(np.median(near)), float(np.median(far)), above, stacked=True, across=across)


def _agreements(
    thumbnails: NDArray[np.uint8], first: NDArray[np.int_], second: NDArray[np.int_]
) -> NDArray[np.float64]:
    parts = [
        agreement(thumbnails[first[k : k + PAIRS_AT_ONCE]], thumbnails[second[k : k + PAIRS_AT_ONCE]])
        for k in range(0, len(first), PAIRS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(0)
