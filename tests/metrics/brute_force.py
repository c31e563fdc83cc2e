"""The metrics once more, from sets of pixels and whole numbers: no line in common with what is tested."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

Pixel = tuple[int, int]


@dataclass(frozen=True)
class Pair:
    """Two masks of class indices, the pixel's size in hundredths of a millimetre, and a tolerance in the same."""

    name: str
    prediction: np.ndarray
    reference: np.ndarray
    classes: int
    spacing: tuple[int, int] = (100, 100)
    tolerance: int = 200

    @property
    def spacing_mm(self) -> tuple[float, float]:
        return self.spacing[0] / 100, self.spacing[1] / 100


def overlap(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The overlap of one class, from sets of pixel numbers."""
    found, wanted = set(np.flatnonzero(prediction).tolist()), set(np.flatnonzero(reference).tolist())
    both, either = len(found & wanted), len(found | wanted)
    outside = prediction.size - len(wanted)

    def share(part: float, whole: float) -> float:
        return math.nan if not either else (part / whole if whole else 0.0)

    return {
        "dice": share(2 * both, len(found) + len(wanted)),
        "iou": share(both, either),
        "precision": share(both, len(found)),
        "recall": share(both, len(wanted)),
        "specificity": (prediction.size - either) / outside if outside else math.nan,
        "accuracy": 1 - len(found ^ wanted) / prediction.size,
        "f1": share(2 * both, len(found) + len(wanted)),
        "reference_pixels": len(wanted),
        "predicted_pixels": len(found),
        "area_error": (len(found) - len(wanted)) / len(wanted) if wanted else math.nan,
    }


def edge(mask: np.ndarray) -> list[Pixel]:
    """The pixels of a mask that miss one of their four neighbours."""
    inside = {(int(x), int(y)) for x, y in np.argwhere(mask)}
    steps = ((1, 0), (-1, 0), (0, 1), (0, -1))
    return sorted(p for p in inside if any((p[0] + a, p[1] + b) not in inside for a, b in steps))


def surface(
    prediction: np.ndarray, reference: np.ndarray, spacing: tuple[int, int], tolerance: int
) -> dict[str, float]:
    """The distances of one class, from all pairs of boundary pixels, compared as squares of whole numbers."""
    found, wanted = edge(prediction), edge(reference)
    if not found and not wanted:
        return {"hd95": math.nan, "asd": math.nan, "nsd": math.nan}
    if not found or not wanted:
        width, height = (n * size for n, size in zip(prediction.shape, spacing, strict=True))
        diagonal = math.sqrt(width**2 + height**2) / 100
        return {"hd95": diagonal, "asd": diagonal, "nsd": 0.0}
    apart = np.array(found)[:, None, :] - np.array(wanted)[None, :, :]
    squares = ((apart * np.array(spacing)) ** 2).sum(axis=-1)
    there, back = squares.min(axis=1).tolist(), squares.min(axis=0).tolist()
    return {
        "hd95": max(rank_95(there), rank_95(back)) / 100,
        "asd": sum(math.sqrt(square) for square in there + back) / len(there + back) / 100,
        "nsd": sum(square <= tolerance**2 for square in there + back) / len(there + back),
    }


def rank_95(squares: list[int]) -> float:
    """The 95th percentile of the roots, linear between ranks."""
    roots = sorted(math.sqrt(square) for square in squares)
    place = 0.95 * (len(roots) - 1)
    low = math.floor(place)
    high = min(low + 1, len(roots) - 1)
    return roots[low] + (place - low) * (roots[high] - roots[low])


def reliability(probabilities: np.ndarray, reference: np.ndarray, bins: int) -> dict[int, list[tuple[float, bool]]]:
    """Bin → (confidence, whether right) of each pixel."""
    table: dict[int, list[tuple[float, bool]]] = {}
    for x, y in itertools.product(*map(range, reference.shape)):
        column = [float(p) for p in probabilities[:, x, y]]
        best = max(column)
        number = next(k for k in range(bins) if best < (k + 1) / bins or k == bins - 1)
        table.setdefault(number, []).append((best, column.index(best) == reference[x, y]))
    return table


def pairs() -> Iterator[Pair]:
    """A thousand pairs: noise, blobs, near misses, thin and border-touching shapes, and the corners."""
    rng = np.random.default_rng(7)
    corners = list(_corners())
    yield from corners
    for number in range(1000 - len(corners)):
        shape = (int(rng.integers(1, 26)), int(rng.integers(1, 26)))
        classes = int(rng.integers(2, 5))
        if number % 3 == 0:
            share = rng.dirichlet(np.full(classes, 0.3))
            prediction, reference = (rng.choice(classes, shape, p=share) for _ in range(2))
            if rng.random() < 0.5:
                prediction = np.where(rng.random(shape) < 0.9, reference, prediction)
        else:
            reference = _blobs(rng, shape, classes)
            moved = np.roll(reference, rng.integers(-2, 3, size=2), axis=(0, 1))
            prediction = moved if number % 3 == 1 else _blobs(rng, shape, classes)
        spacing = (100, 100) if number % 2 else (int(rng.integers(5, 400)), int(rng.integers(5, 400)))
        tolerance = int(rng.choice([0, 50, 100, 200, max(spacing), 2 * min(spacing)]))
        yield Pair(f"random {number}", prediction, reference, classes, spacing, tolerance)


def _blobs(rng: np.random.Generator, shape: tuple[int, int], classes: int) -> np.ndarray:
    heights = np.stack([gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 3)) for _ in range(classes)])
    return heights.argmax(axis=0)


def _corners() -> Iterator[Pair]:
    empty, full = np.zeros((6, 5), int), np.ones((6, 5), int)
    dot, corner, line, ring = empty.copy(), empty.copy(), empty.copy(), full.copy()
    dot[2, 3] = corner[0, 0] = 1
    line[:, 2] = 1
    ring[1:-1, 1:-1] = 0
    masks = {"empty": empty, "full": full, "dot": dot, "corner": corner, "line": line, "ring": ring, "hole": 1 - dot}
    for (first, a), (second, b) in itertools.product(masks.items(), repeat=2):
        yield Pair(f"{first} against {second}", a, b, 3)
        # A tolerance that is reached exactly: twenty pixels of 0.1 mm are 2 mm.
        yield Pair(f"{first} against {second}, oblong pixels", a, b, 2, (10, 330), 20)
