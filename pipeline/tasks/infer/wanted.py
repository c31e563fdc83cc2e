"""What is to be written of each source."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pipeline.errors import InvalidOption

__all__ = ["ENDS", "FORMATS", "SEG_TYPES", "Wanted"]

FORMATS = ("auto", "png", "nifti", "dicomseg", "sc")
# What a mask of each format may be called behind its source's name.
ENDS = {
    "auto": ("_mask.png", "_mask.nii.gz", "_mask"),
    "png": ("_mask.png", "_mask"),
    "nifti": ("_mask.nii.gz",),
    "dicomseg": ("_seg.dcm",),
    "sc": ("_sc.dcm", "_sc"),
}
# Those that belong into an archive, beside DICOM images alone.
ARCHIVED = frozenset({"dicomseg", "sc"})
SEG_TYPES = ("binary", "fractional", "labelmap")


@dataclass(frozen=True)
class Wanted:
    """The results of one source.

    Attributes:
        formats: Of the mask, from `FORMATS`.
        seg_type: Of a DICOM SEG, from `SEG_TYPES`.
        probabilities: Whether to write them as NIfTI.
        overlay: Whether to write pictures at full size with the mask drawn in.
        statistics: Whether to measure the classes.
        preview: Whether to write one small picture.
    Raises: InvalidOption: for an unknown format or type.
    """

    formats: tuple[str, ...] = ("auto",)
    seg_type: str = "binary"
    probabilities: bool = False
    overlay: bool = False
    statistics: bool = False
    preview: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            what = f"'{unknown[0]}'" if unknown else "''"
            raise InvalidOption(f"There is no format {what}. Choose from {', '.join(FORMATS)}.")
        if self.seg_type not in SEG_TYPES:
            raise InvalidOption(f"There is no SEG type '{self.seg_type}'. Choose from {', '.join(SEG_TYPES)}.")

    @property
    def ends(self) -> frozenset[str]:
        """What the names of results may end with."""
        masks = (ENDS[kind] for kind in self.formats)
        return frozenset(chain(("_quality.json",), *masks, *self._extra()))

    def lacks(self, stem: Path) -> bool:
        """Whether one of the results beside the archived ones, asked for, is not there.

        Args:
            stem: Path of the results, without what their names end with.
        """
        results = [*(ENDS[kind] for kind in self.formats if kind not in ARCHIVED), *self._extra()]
        return not all(any(Path(f"{stem}{end}").exists() for end in ends) for ends in results)

    def _extra(self) -> list[tuple[str, ...]]:
        """What each result that is no mask may be called behind its source's name."""
        extra = {
            ("_prob.nii.gz",): self.probabilities,
            ("_overlay.png", "_overlay"): self.overlay,
            ("_statistics.json",): self.statistics,
            ("_preview.png",): self.preview,
        }
        return [ends for ends, made in extra.items() if made]

    @property
    def archived(self) -> bool:
        """Whether a format refers to DICOM images, so that there must be some."""
        return not ARCHIVED.isdisjoint(self.formats)

    @property
    def all_probabilities(self) -> bool:
        """Whether the network's probabilities must be kept."""
        return self.probabilities or ("dicomseg" in self.formats and self.seg_type == "fractional")
