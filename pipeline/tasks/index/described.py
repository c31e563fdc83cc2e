"""How a datalist calls a set and each of its cases."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.datalist import relative_to
from pipeline.tasks.index.checking import Case
from pipeline.tasks.index.options import LabelOptions

__all__ = ["item_of", "modality_of", "name_of"]


def item_of(case: Case, folder: Path) -> dict[str, Any]:
    """A case as the datalist has it, without subject and fold; paths are relative to the datalist's folder."""
    labels = [relative_to(folder, mask) for mask in case.masks]
    return {
        "image": relative_to(folder, case.image),
        "label": labels[0] if len(labels) == 1 else labels,
        "label_coding": sys.intern(case.coding),
        "image_sha256": case.image_sha256,
        "label_sha256": case.label_sha256,
        "shape": list(case.shape),
        # Left out where it is unknown: MONAI's loaders cannot collate a null.
        **({"spacing_mm": list(case.spacing_mm)} if case.spacing_mm else {}),
    }


def name_of(root: str, labels: LabelOptions) -> str:
    """The set's name where none is given: the task's, or the folder's that holds the images."""
    if labels.task is not None:
        return labels.task.name
    folder = Path(root).absolute()
    return folder.parent.name if folder.name.lower() in ("images", "image", "img", "imagestr") else folder.name


def modality_of(labels: LabelOptions, cases: Sequence[Case]) -> str:
    """The modality that most of the pictures say, or the task."""
    own = Counter(case.modality for case in cases if case.modality)
    if own:
        return own.most_common(1)[0][0]
    return labels.task.modality if labels.task is not None else "unknown"
