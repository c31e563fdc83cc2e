"""Elements of DICOM objects, wherever an object keeps them: at its top, for all frames, or for each."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["functional_group", "number_of_frames", "numbers"]


def functional_group(ds: Any, frame: int, sequence: str) -> Any | None:
    """The item of an enhanced multi-frame object that holds for one frame, or None."""
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or []
    shared = ds.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        if group.get(sequence):
            return group[sequence].value[0]
    return None


def numbers(ds: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """The values of an element, or None unless it holds exactly `count` finite numbers."""
    try:
        value = ds.get(keyword)
        values = (value,) if isinstance(value, (int, float)) else tuple(value or ())
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and np.isfinite(found).all() else None


def number_of_frames(ds: Any) -> int:
    """NumberOfFrames, 1 where it is missing or zero.

    Raises: ValueError: if it is no number of frames.
    """
    frames = int(ds.get("NumberOfFrames") or 1)
    if frames < 1:
        raise ValueError(f"NumberOfFrames is {frames}")
    return frames
