"""What is found of one picture or slice, whoever finds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pipeline.gate import ClassSignals

__all__ = ["Observation", "Predicts", "Prediction", "Watches"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The result for one picture or slice, in display orientation.

    Attributes:
        mask: Class indices, (W, H), uint8.
        probabilities: (classes, W, H), float32; None unless asked for.
        meta: The image's metadata, with the way back to its source grid.
    """

    mask: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32] | None
    meta: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Observation:
    """What the gate judges one picture by.

    Attributes:
        signals: Confidence and agreement of its classes.
        vectors: Features of the picture, one array (1, values) a layer.
        mask: The most probable classes on the network's grid, (W, H), before they are brought to the picture's; an
            array or a tensor.
    """

    signals: ClassSignals
    vectors: list[npt.NDArray[np.float32]]
    mask: Any


class Predicts(Protocol):
    """From the names of pictures or slices to their predictions, in their order.

    What is read can be read in another thread, while the one before is predicted.
    """

    def __call__(self, names: Sequence[str], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Read and predict; whatever reading the first bad one raises is raised."""

    def read(self, name: str) -> Any:
        """A picture or slice as `predict` takes it; in any thread."""

    def predict(self, cases: Sequence[Any], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict what was read, in the thread that computes."""


class Watches(Protocol):
    """Has noted an observation of each prediction."""

    def take(self) -> Observation:
        """The observation of the next picture, in the order of prediction."""

    def forget(self) -> None:
        """Drop what was not taken, after an error."""
