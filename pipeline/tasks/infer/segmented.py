"""A source with all that was found of it, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from pipeline.dicom_seg import SourceImages
    from pipeline.readers import Picture
    from pipeline.tasks.infer.archive import Model
    from pipeline.tasks.infer.shown import Shown
    from pipeline.tasks.infer.sources import Source

__all__ = ["Segmented"]


@dataclass(frozen=True, eq=False)
class Segmented:
    """One source and its mask.

    Attributes:
        source: What was segmented.
        picture: Its decoded pixels.
        mask: Class indices, (W, H) or (W, H, D), display orientation.
        probabilities: (classes, W, H) or (classes, W, H, D), or None.
        images: The DICOM images behind it, if a result refers to them.
    """

    source: Source
    picture: Picture
    mask: npt.NDArray[Any]
    probabilities: npt.NDArray[Any] | None = None
    images: SourceImages | None = None

    def shown(self, model: Model) -> Shown:
        """The source as a person looks at it."""
        from pipeline.tasks.infer.shown import Shown

        return Shown(self.source, self.picture, self.mask, model.terms, model.algorithm.title)

    def slice_name(self, number: int) -> str:
        """Numbered, so that the order is the volume's, whatever the files of a series are called."""
        return f"{number:0{len(str(self.picture.depth - 1))}d}"
