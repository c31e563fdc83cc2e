"""The pictures of a source as a person looks at them: under their window, with outlines and a caption."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.readers import read_picture

if TYPE_CHECKING:
    from pipeline.dicom_seg import Term
    from pipeline.readers import Picture
    from pipeline.tasks.infer.sources import Source

__all__ = ["Shown"]

# Every so-many-th pixel tells the grey scale of a volume.
SAMPLE = 4


class Shown:
    """A source with its mask, to be looked at.

    Args:
        source: What was segmented.
        picture: Its decoded pixels.
        mask: Class indices, (W, H[, D]).
        terms: Class index → name and colour.
        title: What made the mask.
    """

    def __init__(
        self, source: Source, picture: Picture, mask: npt.NDArray[Any], terms: Mapping[int, Term], title: str
    ) -> None:
        self.source, self.picture, self.mask = source, picture, mask
        self.depth = picture.depth
        self.colours = {index: term.colour for index, term in terms.items()}
        self.classes = [(term.label, term.colour) for term in terms.values()]
        self.title = title

    def mask_of(self, number: int) -> npt.NDArray[Any]:
        """The mask of one slice, (W, H)."""
        return self.mask if self.depth == 1 else np.ascontiguousarray(self.mask[..., number])

    def grey(self, number: int) -> npt.NDArray[np.uint8]:
        """One slice, (W, H) or (W, H, 3): DICOM under its window, the rest in the grey scale of the whole."""
        from pipeline.overlays import to_grey

        if self.picture.source_format == "DICOM":
            return to_grey(read_picture(self.source.slices[number], voi=True).array)
        if self.depth == 1:
            return to_grey(self.picture.array)
        low, high = self._range
        scaled = (self.picture.array[:, :, number].astype(np.float32) - low) * (255 / max(high - low, 1e-12))
        return np.clip(np.nan_to_num(scaled), 0, 255).astype(np.uint8)

    def drawn(self, number: int) -> npt.NDArray[np.uint8]:
        """One slice at full size with outlines and a caption, RGB, (W, H or more, 3)."""
        from pipeline.overlays import draw_overlay, with_caption

        picture = draw_overlay(self.grey(number), self.mask_of(number), colours=self.colours)
        return with_caption(picture, self.classes, self.title)

    @cached_property
    def _range(self) -> tuple[float, float]:
        sample = self.picture.array[::SAMPLE, ::SAMPLE].astype(np.float32)
        finite = sample[np.isfinite(sample)]
        low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0)
        return float(low), float(high)
