"""The one reader, and the writers that go back to the grid it read from.

What MONAI needs (`PlanarReader`, `SourceGridWriter`) is imported when it is asked for: `import monai` costs five
seconds, and decoding needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.fragments import split_fragment
from pipeline.lazy import lazily
from pipeline.readers.container import SUFFIXES, stem_of
from pipeline.readers.discovery import find_pictures, natural_order
from pipeline.readers.masks import read_mask
from pipeline.readers.picture import Picture
from pipeline.readers.read import read_grid, read_picture, slices_in

if TYPE_CHECKING:
    from pipeline.readers.monai_reader import PlanarReader
    from pipeline.readers.monai_writer import SourceGridWriter, SourceLayout
    from pipeline.readers.series import DicomSeries, group_series, read_series
    from pipeline.readers.writers import write_mask, write_probabilities

__all__ = [
    "SUFFIXES",
    "DicomSeries",
    "Picture",
    "PlanarReader",
    "SourceGridWriter",
    "SourceLayout",
    "find_pictures",
    "group_series",
    "natural_order",
    "read_grid",
    "read_mask",
    "read_picture",
    "read_series",
    "slices_in",
    "split_fragment",
    "stem_of",
    "write_mask",
    "write_probabilities",
]

__getattr__ = lazily(
    __name__,
    {
        "DicomSeries": "series",
        "PlanarReader": "monai_reader",
        "SourceGridWriter": "monai_writer",
        "SourceLayout": "monai_writer",
        "group_series": "series",
        "read_series": "series",
        "write_mask": "writers",
        "write_probabilities": "writers",
    },
)
