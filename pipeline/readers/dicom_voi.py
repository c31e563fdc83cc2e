"""The VOI LUT or window of a DICOM picture, which says what a viewer shows of its values.

References: DICOM PS3.3, C.11.2 (VOI LUT Module), C.11.2.1.2 (window and functions), C.7.6.16.2.10 (Frame VOI LUT).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.readers.functional_groups import functional_group
from pipeline.readers.lookup import look_up, table_white

__all__ = ["DISPLAY_WHITE", "apply_voi"]

# A viewer's grey: what the VOI LUT gives, whatever bits it was made for.
DISPLAY_WHITE = 255.0

Grey = npt.NDArray[np.float32]


def apply_voi(ds: Any, values: npt.NDArray[Any], padding: npt.NDArray[np.bool_] | None) -> Grey:
    """Grey from 0 to 255 by the first VOI LUT or window, or by the whole range of values where there is none.

    Args:
        ds: The data set.
        values: Modality values, frames last.
        padding: Pixels that are no part of the picture and do not count for its range.
    """
    if ds.get("VOILUTSequence"):
        item = ds.VOILUTSequence[0]
        grey: Grey = look_up(item, values, ds).astype(np.float32)
        return grey * np.float32(DISPLAY_WHITE / table_white(item))
    frames = values.shape[2] if values.ndim > 2 else 1
    windows = [_window_of(ds, frame) for frame in range(frames)]
    if len(set(windows)) == 1:
        return _windowed(values, windows[0], padding)
    shown = [
        _windowed(values[:, :, k], windows[k], None if padding is None else padding[:, :, k]) for k in range(frames)
    ]
    return np.stack(shown, axis=2)


Window = tuple[float, float, str] | None


def _window_of(ds: Any, frame: int) -> Window:
    """Centre, width and function of a frame's first window."""
    group = functional_group(ds, frame, "FrameVOILUTSequence")
    item = ds if group is None else group
    centre, width = _first_number(item, "WindowCenter"), _first_number(item, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    return centre, width, str(item.get("VOILUTFunction") or "LINEAR")


def _windowed(values: npt.NDArray[Any], window: Window, padding: npt.NDArray[np.bool_] | None) -> Grey:
    grey = values.astype(np.float32)
    if window is None:
        inside = grey if padding is None or padding.all() else grey[~padding]
        low, high = float(inside.min()), float(inside.max())
        return np.clip((grey - low) / np.float32(high - low if high > low else 1.0), 0, 1) * np.float32(DISPLAY_WHITE)
    centre, width, function = window
    if function == "SIGMOID":
        # Beyond ±80 the result is 0 or 1 in float32, and the exponential would overflow.
        steps = np.clip(-4 * (grey - np.float32(centre)) / np.float32(width), -80, 80)
        return np.float32(DISPLAY_WHITE) / (1 + np.exp(steps))
    if function == "LINEAR_EXACT":
        fraction = (grey - np.float32(centre)) / np.float32(width) + np.float32(0.5)
    else:
        fraction = (grey - np.float32(centre - 0.5)) / np.float32(max(width - 1, 1e-3)) + np.float32(0.5)
    return np.clip(fraction, 0, 1) * np.float32(DISPLAY_WHITE)


def _first_number(item: Any, keyword: str) -> float | None:
    value = item.get(keyword)
    try:
        number = float(value if isinstance(value, (int, float, str)) else value[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if np.isfinite(number) else None
