"""Predictions by a bundle's exported program; what it does not cover goes through the bundle itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.exported import Program, ProgramFile
from pipeline.exported.names import FEATURES, FOUND, MASK, MOVED, PROBABILITIES, SCORES
from pipeline.readers import Picture, decoded_once, finite_values, read_picture
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
        at_once: Pictures that are computed at a time.

    Attributes:
        at_once: As given.
        left: The pictures that went through the bundle itself, by the reason; one that is tried again counts once.
    """

    def __init__(
        self,
        program: ProgramFile,
        gate: Gate | None,
        bundle: Callable[[], tuple[Predicts, Watches | None]],
        at_once: int = 1,
    ) -> None:
        self.gate, self.at_once = gate, at_once
        self.program = Program(program, at_once, [MASK, *self._asked])
        self.left: dict[str, set[str]] = {}
        self._bundle = bundle
        self._seen: deque[Observation] = deque()

    def __call__(self, names: Sequence[str], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict pictures or slices, in their order.

        Args:
            names: What Planar's reader can read.
            probabilities: Whether to keep them.
        Raises: whatever reading the first bad one raises.
        """
        for start in range(0, len(names), self.at_once):
            cases = [self.read(name) for name in names[start : start + self.at_once]]
            yield from self.predict(cases, probabilities=probabilities)

    def read(self, name: str) -> Read:
        """A picture or slice, decoded; in any thread.

        Raises: whatever reading it raises.
        """
        return Read(name, *_channels_of(name, self.program.file.neighbours), last_picture())

    def predict(self, cases: Sequence[Read], *, probabilities: bool = False) -> Iterator[Prediction]:
        """Predict what was read, in its order, and several at a time.

        Args:
            cases: From `read`.
            probabilities: Whether to keep them.
        """
        reasons = [self.program.covers(case.image, case.picture) for case in cases]
        begun = [
            None if reason else self._threads.submit(self._by_program, case, probabilities)
            for case, reason in zip(cases, reasons, strict=True)
        ]
        try:
            for case, reason, future in zip(cases, reasons, begun, strict=True):
                yield self._found(future) if future else self._by_bundle(case, reason, probabilities)
        finally:
            for future in begun:
                if future is not None:
                    future.cancel()

    def take(self) -> Observation:
        """The observation of the next picture, in the order of prediction."""
        return self._seen.popleft()

    def forget(self) -> None:
        """Drop what was not taken, after an error."""
        self._seen.clear()

    def _by_program(self, case: Read, probabilities: bool) -> tuple[Prediction, Observation | None]:
        """In any thread."""
        wanted = [MASK, *([PROBABILITIES] if probabilities else []), *self._asked]
        answers = dict(zip(wanted, self.program.run(case.image, case.picture, wanted), strict=True))
        seen = self._observation(answers) if self.gate is not None else None
        return Prediction(answers[MASK], answers.get(PROBABILITIES), case.picture.meta()), seen

    def _found(self, future: Future[tuple[Prediction, Observation | None]]) -> Prediction:
        found, seen = future.result()
        if seen is not None:
            self._seen.append(seen)
        return found

    def _by_bundle(self, case: Read, reason: str, probabilities: bool) -> Prediction:
        self.left.setdefault(reason, set()).add(case.name)
        predict, watch = self._of_bundle
        if watch is not None:
            watch.forget()
        with decoded_once(case.kept):
            (found,) = predict([case.name], probabilities=probabilities)
        if watch is not None:
            self._seen.append(watch.take())
        return found

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.at_once, thread_name_prefix="computing")

    @cached_property
    def _of_bundle(self) -> tuple[Predicts, Watches | None]:
        return self._bundle()

    @cached_property
    def _asked(self) -> list[str]:
        """The outputs that the gate judges by."""
        if self.gate is None:
            return []
        views, layers = range(len(self.gate.views)), range(len(self.gate.reference.layers))
        named = [f"{kind}{number}" for kind in (MOVED, FOUND) for number in views]
        return [SCORES, *named, *(f"{FEATURES}{number}" for number in layers)]

    def _observation(self, answers: dict[str, npt.NDArray[Any]]) -> Observation:
        from pipeline.gate import class_signals

        scores = answers[SCORES][0]
        mask = scores.argmax(axis=0)
        numbers = range(sum(name.startswith(MOVED) for name in answers))
        looks = [(answers[f"{MOVED}{number}"], answers[f"{FOUND}{number}"]) for number in numbers]
        layers = range(sum(name.startswith(FEATURES) for name in answers))
        vectors = [answers[f"{FEATURES}{number}"][np.newaxis] for number in layers]
        return Observation(class_signals(scores, looks, mask), vectors, mask)


def _channels_of(name: str, neighbours: int) -> tuple[npt.NDArray[Any], Picture]:
    """A picture's channels, (C, W, H), and the picture, as MONAI's loader takes them from Planar's reader."""
    if neighbours:
        from pipeline.readers.neighbours import read_with_neighbours

        channels, middle = read_with_neighbours(name, neighbours)
        return np.moveaxis(finite_values(channels), -1, 0), middle
    picture = read_picture(name)
    values = finite_values(picture.array)
    return np.moveaxis(values, -1, 0) if picture.colour else values[np.newaxis], picture
