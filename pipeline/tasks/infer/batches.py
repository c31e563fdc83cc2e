"""Pictures of several sources through the network together, and apart where together does not work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.memory import is_gpu_full

if TYPE_CHECKING:
    from pipeline.tasks.infer.choosing import Chosen
    from pipeline.tasks.infer.prediction import Observation, Prediction

__all__ = ["Batches", "Predicted"]

# Of each picture or slice, with what the gate judges it by.
Predicted: TypeAlias = "list[tuple[Prediction, Observation | None]]"


class Batches:
    """Predicts batches, of the size that the device has had memory for so far.

    Args:
        chosen: Who predicts.
        probabilities: Whether to keep them.
        most: Pictures of a batch.

    Attributes:
        most: As given, or fewer since memory did not suffice.
    """

    def __init__(self, chosen: Chosen, probabilities: bool, most: int) -> None:
        self._chosen, self._probabilities = chosen, probabilities
        self.most = most

    def __call__(self, chunks: Sequence[Sequence[Any]]) -> list[Predicted | Exception]:
        """What is predicted of each chunk, or the error that it alone meets.

        Args:
            chunks: What was read, of any number of sources.
        """
        try:
            found = iter(self._all([case for chunk in chunks for case in chunk]))
            return [[next(found) for _ in chunk] for chunk in chunks]
        except Exception as error:
            if len(chunks) == 1:
                return [error]
        half = len(chunks) // 2
        return [*self(chunks[:half]), *self(chunks[half:])]

    def _all(self, cases: Sequence[Any]) -> Predicted:
        try:
            return self._together(cases)
        except Exception as error:
            if not self._smaller_may_do(error, len(cases)):
                raise
        # Out of the block above, whose error holds what was computed.
        half = len(cases) // 2
        return [*self._all(cases[:half]), *self._all(cases[half:])] if half else self._all(cases)

    def _together(self, cases: Sequence[Any]) -> Predicted:
        predict, watch = self._chosen.predict, self._chosen.watch
        if watch is not None:
            watch.forget()  # what a batch that failed has left
        found = predict.predict(cases, probabilities=self._probabilities)
        return [(one, watch.take() if watch is not None else None) for one in found]

    def _smaller_may_do(self, error: Exception, count: int) -> bool:
        """Whether fewer pictures, or fewer windows of a single one, may find the memory that was missing."""
        if not is_gpu_full(error):
            return False
        sys.modules["torch"].cuda.empty_cache()
        self.most = max(1, min(self.most, count // 2))
        return count > 1 or bool(getattr(self._chosen.predict, "fewer_windows", bool)())
