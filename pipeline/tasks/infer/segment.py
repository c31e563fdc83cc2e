"""The network over one source, slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pipeline.gate import Gate, Verdict
    from pipeline.tasks.infer.prediction import Observation, Prediction, Predicts, Watches
    from pipeline.tasks.infer.sources import Source

__all__ = ["SourceMask", "chunks_of", "segment_source"]

SLICES_AT_ONCE = 8


class SourceMask:
    """Mask and probabilities of a whole source in the making, and a verdict of each slice.

    Each slice goes to its place at once: a list of slices that is stacked at the end would take the memory twice.

    Args:
        depth: Slices of the source.
        gate: Which judges each of them; None for no verdicts.

    Attributes:
        mask: Class indices, (W, H), or (W, H, D) of a volume; None before the first slice.
        probabilities: (classes, W, H[, D]); None where they are not kept.
        verdicts: Of the slices so far.
        slices: How many they are.
    """

    def __init__(self, depth: int, gate: Gate | None) -> None:
        self.depth, self.gate = depth, gate
        self.mask: npt.NDArray[Any] | None = None
        self.probabilities: npt.NDArray[Any] | None = None
        self.verdicts: list[Verdict] = []
        self.slices = 0

    def add(self, result: Prediction, seen: Observation | None) -> None:
        """The next slice, and what the gate judges it by."""
        if self.gate is not None and seen is not None:
            from pipeline.tasks.infer.quality import verdict_of

            self.verdicts.append(verdict_of(self.gate, seen, result.mask))
        number, self.slices = self.slices, self.slices + 1
        if self.depth == 1:
            self.mask, self.probabilities = result.mask, result.probabilities
            return
        if self.mask is None:
            self.mask = np.empty((*result.mask.shape, self.depth), np.uint8, order="F")
            if result.probabilities is not None:
                self.probabilities = np.empty((*result.probabilities.shape, self.depth), np.float32, order="F")
        self.mask[..., number] = result.mask
        if self.probabilities is not None:
            self.probabilities[..., number] = result.probabilities


def chunks_of(source: Source) -> Iterator[list[str]]:
    """A source's slices, as many at a time as are read and predicted together."""
    for start in range(0, len(source.slices), SLICES_AT_ONCE):
        yield source.slices[start : start + SLICES_AT_ONCE]


def segment_source(
    source: Source,
    predict: Predicts,
    probabilities: bool,
    report: Callable[[int], None],
    gate: Gate | None,
    watch: Watches | None,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None, list[Verdict]]:
    """Mask and probabilities of a whole source, the slices of a volume behind one another, and a verdict of each.

    Args:
        source: What to segment.
        predict: The bundle.
        probabilities: Whether to keep them.
        report: Told of the slices that are done.
        gate: Which judges each slice, with the watch of `predict`; None for no verdicts.
        watch: See `gate`.
    Raises: whatever reading or predicting raises.
    """
    found = SourceMask(len(source.slices), gate)
    if watch is not None:
        watch.forget()  # what a source that failed has left
    for names in chunks_of(source):
        for result in predict(names, probabilities=probabilities):
            found.add(result, watch.take() if watch is not None else None)
        report(found.slices)
    if found.mask is None:
        raise ValueError(f"{source.path} has no slices.")
    return found.mask, found.probabilities, found.verdicts
