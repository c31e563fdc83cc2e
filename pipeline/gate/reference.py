"""How far a picture lies from those that the network was trained on."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reference", "held_out_distances"]

# A random projection keeps distances to about 1/√256 and the gate small, however wide the network is.
PROJECTED = 256
# No more directions than the pictures can tell.
PICTURES_A_DIRECTION = 8
MOST_DIRECTIONS = 30
HELD_OUT_QUANTILE = 0.99

Vectors = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Reference:
    """A Gaussian of the training pictures' features, a few directions with their own spread and one for the rest.

    Attributes:
        layers: Where the features come from, with the number of values of each.
        scales: What each layer is divided by, so that all count the same.
        mean: Middle, in the projected space.
        directions: Orthonormal, (k, values).
        variances: Along them, (k,).
        rest: Variance across all other directions together.
        unit: The distance that is called 1.
    """

    layers: tuple[tuple[str, int], ...]
    scales: NDArray[np.float32]
    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: float
    unit: float = 1.0

    @classmethod
    def of(cls, layers: Sequence[str], vectors: Vectors, unit: float = 1.0) -> Reference:
        """Fit to pictures.

        Args:
            layers: Names of the layers.
            vectors: For each layer (pictures, values).
            unit: The distance that is called 1.
        References: Probabilistic principal components: Tipping and Bishop, J. R. Stat. Soc. B 61:611 (1999). Distances
            in a network's features find foreign pictures: Lee et al., NeurIPS 2018.
        """
        scales = np.array([np.sqrt(max(part.var(axis=0).sum(dtype=np.float64), 1e-12)) for part in vectors])
        points = _projected(vectors, scales)
        mean = points.mean(axis=0)
        _, singular, right = np.linalg.svd(points - mean, full_matrices=False)
        variances = singular**2 / max(len(points) - 1, 1)
        kept = int(np.clip(len(points) // PICTURES_A_DIRECTION, 1, MOST_DIRECTIONS))
        total = max(float(variances.sum()), 1e-12)
        return cls(
            layers=tuple((name, part.shape[1]) for name, part in zip(layers, vectors, strict=True)),
            scales=scales.astype(np.float32),
            mean=mean.astype(np.float32),
            directions=right[:kept].astype(np.float32),
            variances=np.maximum(variances[:kept], 1e-6 * total).astype(np.float32),
            rest=max(float(variances[kept:].sum()), 1e-6 * total),
            unit=unit,
        )

    def distances(self, vectors: Vectors) -> NDArray[np.float64]:
        """Distance of each picture, in units; (pictures,)."""
        apart = _projected(vectors, self.scales) - self.mean
        along = apart @ self.directions.T
        across = np.maximum((apart**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        # Both parts are about 1 for a picture of the set.
        squared = (along**2 / self.variances).mean(axis=1) + across / self.rest
        return np.asarray(np.sqrt(squared / 2) / self.unit, dtype=np.float64)

    def document(self) -> dict[str, Any]:
        """For the gate's JSON."""
        return {
            "layers": dict(self.layers),
            "scales": _text_of(self.scales),
            "mean": _text_of(self.mean),
            "directions": _text_of(self.directions),
            "variances": _text_of(self.variances),
            "rest": float(np.float32(self.rest)),
            "unit": float(np.float32(self.unit)),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Reference:
        """What `document` wrote."""
        variances, mean = _array_of(document["variances"]), _array_of(document["mean"])
        return cls(
            layers=tuple((str(name), int(values)) for name, values in document["layers"].items()),
            scales=_array_of(document["scales"]),
            mean=mean,
            directions=_array_of(document["directions"]).reshape(len(variances), len(mean)),
            variances=variances,
            rest=float(document["rest"]),
            unit=float(document["unit"]),
        )


def held_out_distances(layers: Sequence[str], vectors: Vectors, groups: Sequence[str]) -> NDArray[np.float64]:
    """The distance of each picture from those of other subjects; (pictures,), in units of 1.

    Args:
        layers: Names of the layers.
        vectors: For each layer (pictures, values).
        groups: Each picture's subject.
    """
    folds = folds_of(groups, 5)
    distances = np.zeros(len(folds))
    for fold in np.unique(folds):
        out = folds == fold
        reference = Reference.of(layers, [part[~out] for part in vectors])
        distances[out] = reference.distances([part[out] for part in vectors])
    return distances


def folds_of(groups: Sequence[str], number: int) -> NDArray[np.int64]:
    """A fold for each case, those of one group in the same; (cases,)."""
    order = {group: position for position, group in enumerate(dict.fromkeys(groups))}
    return np.array([order[group] % number for group in groups], dtype=np.int64)


def _projected(vectors: Vectors, scales: NDArray[Any]) -> NDArray[np.float64]:
    joined = np.concatenate(
        [part / scale / np.sqrt(len(scales)) for part, scale in zip(vectors, scales, strict=True)], axis=1
    )
    if joined.shape[1] <= PROJECTED:
        return joined.astype(np.float64)
    return (joined.astype(np.float32) @ _signs(joined.shape[1])).astype(np.float64) / np.sqrt(PROJECTED)


@lru_cache(maxsize=2)
def _signs(values: int) -> NDArray[np.float32]:
    """The random projection of so many values: −1 and 1, (values, PROJECTED)."""
    # NumPy promises that this old generator gives the same numbers for ever.
    drawn = np.random.RandomState(0).randint(0, 2, size=(values, PROJECTED))
    return (2 * drawn - 1).astype(np.float32)


def _text_of(array: NDArray[Any]) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")


def _array_of(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32)
