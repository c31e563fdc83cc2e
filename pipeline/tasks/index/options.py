"""How a set is indexed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.tasks.index.coding import LabelOptions
from pipeline.tasks.index.sides import SplitOptions

__all__ = ["IndexOptions", "PairingOptions", "SubjectOptions"]


@dataclass(frozen=True)
class PairingOptions:
    """Which mask belongs to which image; see `pair_files`."""

    image_pattern: str | None = None
    mask_pattern: str | None = None
    allow_missing_masks: bool = False


@dataclass(frozen=True)
class SubjectOptions:
    """Whose picture it is: at most one of these; by default PatientID, else the study, else one subject a file.

    Args:
        column: `FILE.csv:COLUMN` or `FILE.csv:COLUMN@FILECOLUMN`.
        pattern: Regular expression whose group 1 is the subject in a file's name.
        tag: DICOM keyword.
    """

    column: str | None = None
    pattern: str | None = None
    tag: str | None = None


@dataclass(frozen=True)
class IndexOptions:
    """How to index.

    Args:
        name: Name of the set; by default that of the image folder's parent.
        modality: DICOM modality; by default the task's or the files' own.
        labels: How masks are coded.
        pairing: Which mask belongs to which image.
        subjects: Whose picture it is.
        split: How to split.
        refuse_empty: Refuse cases whose mask is empty.
        keep_empty_slices: Share of a volume's slices without label that is kept.
        masks_as: "shown" or "stored": what masks were drawn on that do not lie as their image does, slices of a DICOM
            series counted along their normal; None to take them as drawn on the picture as shown, and say so.
        workers: Processes; None for one a core.
        overwrite: Replace an existing datalist.
        engine: "local", or "ray": files are decoded by a Ray cluster, whose machines all see them.
    """

    name: str | None = None
    modality: str | None = None
    labels: LabelOptions = field(default_factory=LabelOptions)
    pairing: PairingOptions = field(default_factory=PairingOptions)
    subjects: SubjectOptions = field(default_factory=SubjectOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    refuse_empty: bool = False
    keep_empty_slices: float = 0.0
    masks_as: str | None = None
    workers: int | None = None
    overwrite: bool = False
    engine: str = "local"
