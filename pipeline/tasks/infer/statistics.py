"""Sizes and intensities of the classes: a JSON file a source, and one table of all sources."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.geometry import picture_affine
from pipeline.metrics.label_statistics import LabelStatistics, label_statistics

if TYPE_CHECKING:
    from pipeline.readers import Picture

__all__ = [
    "STATISTICS_FORMAT",
    "STATISTICS_TABLE",
    "measured",
    "statistics_document",
    "statistics_rows",
    "statistics_rows_of",
    "statistics_table",
]

STATISTICS_FORMAT = "planar-statistics/1"
STATISTICS_TABLE = "statistics.csv"
# Digits of a figure: more than any of them is good for.
DIGITS = 6
COLUMNS = (
    "file",
    "index",
    "name",
    "pixels",
    "slices",
    "area_mm2",
    "volume_ml",
    "mean",
    "sd",
    "minimum",
    "median",
    "maximum",
    "unit",
)
RULE = (
    "Area is that of the pixels of a picture by its pixel size, volume that of the voxels of a volume by its grid; "
    "null where that is unknown. Intensities are the image's own values as read: HU in CT, grey otherwise, the mean of "
    "red, green and blue of a colour picture; sd is that of the population."
)


def measured(picture: Picture, mask: npt.NDArray[Any], labels: Mapping[int, str]) -> list[LabelStatistics]:
    """The statistics of one source.

    Args:
        picture: Its decoded pixels.
        mask: Class indices, (W, H[, D]).
        labels: Class index → name.
    """
    return label_statistics(picture.array, mask, labels, pixel_mm2=_pixel_mm2(picture), voxel_mm3=_voxel_mm3(picture))


def statistics_document(
    picture: Picture, found: Sequence[LabelStatistics], made_by: Mapping[str, str], masks: Sequence[str]
) -> dict[str, Any]:
    """The content of `<name>_statistics.json`.

    Args:
        picture: The source.
        found: Its statistics.
        made_by: The bundle and its weights.
        masks: File names of the masks.
    """
    return {
        "format": STATISTICS_FORMAT,
        "masks": list(masks),
        **made_by,
        "pixel_size_mm": None if picture.spacing_mm is None else [_rounded(v) for v in picture.spacing_mm],
        "pixel_size_source": picture.spacing_source,
        "voxel_mm3": _rounded(_voxel_mm3(picture)),
        "intensity_unit": _unit(picture),
        "classes": [{key: _rounded(value) for key, value in asdict(one).items()} for one in found],
        "rule": RULE,
    }


def statistics_rows(file: str, picture: Picture, found: Sequence[LabelStatistics]) -> list[dict[str, Any]]:
    """The rows of one source in the table, one a class."""
    unit = _unit(picture)
    return [{"file": file, **{k: _rounded(v) for k, v in asdict(one).items()}, "unit": unit} for one in found]


def statistics_rows_of(stem: str, file: str, out: Path) -> list[dict[str, Any]]:
    """The rows of a source, which messages call `file`, whose results an earlier inference wrote, if it measured."""
    path = out / f"{stem}_statistics.json"
    if not path.is_file():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    return [{"file": file, **one, "unit": document["intensity_unit"]} for one in document["classes"]]


def statistics_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of all sources as CSV; a figure that is unknown is left empty."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def _pixel_mm2(picture: Picture) -> float | None:
    return None if picture.spacing_mm is None else picture.spacing_mm[0] * picture.spacing_mm[1]


def _voxel_mm3(picture: Picture) -> float | None:
    """The size of a voxel, mm³; None for a picture, and for pages or frames that have no distance."""
    if picture.depth == 1 or picture.spacing_mm is None:
        return None
    affine = picture.grid.stored_affine
    # What `SourceGrid.of_picture` makes of pages and frames; a volume of another format may lie there by itself.
    pages = picture.source_format in ("TIFF", "DICOM")
    if pages and np.array_equal(affine, picture_affine(picture.spacing_mm)):
        return None
    return float(abs(np.linalg.det(affine[:3, :3])))


def _unit(picture: Picture) -> str:
    return "HU" if picture.modality == "CT" else "grey value"


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
