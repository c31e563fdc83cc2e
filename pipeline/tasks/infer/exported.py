"""Predictions by a bundle's exported program; what it does not cover goes through the bundle itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.exported import Program
from pipeline.readers import Picture, decoded_once, read_picture
from pipeline.readers.cache import VolumeCache, last_picture
from pipeline.tasks.infer.prediction import Observation, Prediction, Predicts, Watches

if TYPE_CHECKING:
    from pipeline.gate import Gate

__all__ = ["ExportedPredictor", "Read"]


@dataclass(frozen=True, eq=False)
class Read:
    """A picture on its way to a program.

    Attributes:
        name: What it was read by.
        image: Its channels, (C, W, H).
        picture: The picture itself; of several slices the one in their middle.
        kept: Where it is kept decoded, should the bundle itself have to read it.
    """

    name: str
    image: npt.NDArray[Any]
    picture: Picture
    kept: VolumeCache | None


class ExportedPredictor:
    """A program in the place of a `Predictor`, and of the watch of its gate.

    Args:
        program: That was made from the bundle.
        gate: Which judges the predictions, and which the program answers; None for none.
        bundle: Makes the bundle's own predictor and its watch, when they are first needed.

    Attributes:
        left: Why pictures went through the bundle itself, and how many, by reason.
    """

    def __init__(
        self, program: Program, gate: Gate | None, bundle: Callable[[], tuple[Predicts, Watches | None]]
    ) -> None:
        self.program = program
        self.gate = gate
        self.left: dict[str, int] = {}
        self._bundle = bundle
        self._seen: deque[Observation] = deque()

    def __call__(self, names: Sequence[str], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict pictures or slices, in their order.

        Args:
            names: What Planar's reader can read.
            probabilities: Whether to keep them.
        Raises: whatever reading the first bad one raises.
        """
        for name in names:
            yield from self.predict([self.read(name)], probabilities=probabilities)

    def read(self, name: str) -> Read:
        """A picture or slice, decoded; in any thread.

        Raises: whatever reading it raises.
        """
        return Read(name, *_channels_of(name, self.program.file.neighbours), last_picture())

    def predict(self, cases: Sequence[Read], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict what was read, in its order.

        Args:
            cases: From `read`.
            probabilities: Whether to keep them.
        """
        for case in cases:
            reason = self.program.covers(case.image, case.picture)
            if reason:
                self.left[reason] = self.left.get(reason, 0) + 1
                with decoded_once(case.kept):
                    found = self._by_bundle(case.name, probabilities)
                yield found
            else:
                yield self._by_program(case.image, case.picture, probabilities)

    def take(self) -> Observation:
        """The observation of the next picture, in the order of prediction."""
        return self._seen.popleft()

    def forget(self) -> None:
        """Drop what was not taken, after an error."""
        self._seen.clear()

    def _by_program(self, image: npt.NDArray[Any], picture: Picture, probabilities: bool) -> Prediction:
        wanted = ["mask", *(["probabilities"] if probabilities else []), *self._asked]
        answers = dict(zip(wanted, self.program.run(image, picture, wanted), strict=True))
        if self.gate is not None:
            self._seen.append(self._observation(answers))
        return Prediction(answers["mask"], answers.get("probabilities"), picture.meta())

    def _by_bundle(self, name: str, probabilities: bool) -> Prediction:
        predict, watch = self._of_bundle
        if watch is not None:
            watch.forget()
        (found,) = predict([name], probabilities=probabilities)
        if watch is not None:
            self._seen.append(watch.take())
        return found

    @cached_property
    def _of_bundle(self) -> tuple[Predicts, Watches | None]:
        return self._bundle()

    @cached_property
    def _asked(self) -> list[str]:
        """The outputs that the gate judges by."""
        if self.gate is None:
            return []
        views, layers = range(len(self.gate.views)), range(len(self.gate.reference.layers))
        named = [f"{kind}_{number}" for kind in ("moved", "found") for number in views]
        return ["scores", *named, *(f"features_{number}" for number in layers)]

    def _observation(self, answers: dict[str, npt.NDArray[Any]]) -> Observation:
        from pipeline.gate import class_signals

        scores = answers["scores"][0]
        mask = scores.argmax(axis=0)
        numbers = range(sum(name.startswith("moved_") for name in answers))
        looks = [(answers[f"moved_{number}"], answers[f"found_{number}"]) for number in numbers]
        layers = range(sum(name.startswith("features_") for name in answers))
        vectors = [answers[f"features_{number}"][np.newaxis] for number in layers]
        return Observation(class_signals(scores, looks, mask), vectors, mask)


def _channels_of(name: str, neighbours: int) -> tuple[npt.NDArray[Any], Picture]:
    """A picture's channels, (C, W, H), and the picture, as MONAI's loader takes them from Planar's reader."""
    if neighbours:
        from pipeline.readers.neighbours import read_with_neighbours

        channels, middle = read_with_neighbours(name, neighbours)
        return np.moveaxis(channels, -1, 0), middle
    picture = read_picture(name)
    return np.moveaxis(picture.array, -1, 0) if picture.colour else picture.array[np.newaxis], picture
