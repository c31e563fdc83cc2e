"""The network over one source, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pipeline.gate import Gate, Verdict
    from pipeline.tasks.infer.prediction import Predicts, Watches
    from pipeline.tasks.infer.sources import Source

__all__ = ["segment_source"]

SLICES_AT_ONCE = 8


def segment_source(
    source: Source,
    predict: Predicts,
    probabilities: bool,
    report: Callable[[int], None],
    gate: Gate | None,
    watch: Watches | None,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None, list[Verdict]]:
    """Mask and probabilities of a whole source, the slices of a volume behind one another, and a verdict of each.

    Each slice goes to its place at once: a list of slices that is stacked at the end would take the memory twice.

    Args:
        source: What to segment.
        predict: The bundle.
        probabilities: Whether to keep them.
        report: Told of the slices that are done.
        gate: Which judges each slice, with the watch of `predict`; None for no verdicts.
        watch: See `gate`.
    Raises: whatever reading or predicting raises.
    """
    from pipeline.tasks.infer.quality import verdict_of

    depth = len(source.slices)
    mask: npt.NDArray[Any] | None = None
    volume: npt.NDArray[Any] | None = None
    verdicts: list[Verdict] = []
    if watch is not None:
        watch.forget()  # what a source that failed has left
    for start in range(0, depth, SLICES_AT_ONCE):
        names = source.slices[start : start + SLICES_AT_ONCE]
        for number, result in enumerate(predict(names, probabilities=probabilities), start):
            if gate is not None and watch is not None:
                verdicts.append(verdict_of(gate, watch.take(), result.mask))
            if depth == 1:
                mask, volume = result.mask, result.probabilities
                continue
            if mask is None:
                mask = np.empty((*result.mask.shape, depth), np.uint8, order="F")
                if result.probabilities is not None:
                    volume = np.empty((*result.probabilities.shape, depth), np.float32, order="F")
            mask[..., number] = result.mask
            if volume is not None:
                volume[..., number] = result.probabilities
        report(start + len(names))
    if mask is None:
        raise ValueError(f"{source.path} has no slices.")
    return mask, volume, verdicts
