"""The one reader, and the writers that go back to the grid it read from.

What MONAI needs (`PlanarReader`, `SourceGridWriter`) is imported when it is asked for: `import monai` costs five
seconds, and decoding needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.fragments import split_fragment
from pipeline.lazy import lazily
from pipeline.readers.cache import decoded_once
from pipeline.readers.container import SUFFIXES, stem_of
from pipeline.readers.discovery import find_pictures, natural_order, passed_over
from pipeline.readers.finite import finite_values
from pipeline.readers.masks import read_mask
from pipeline.readers.picture import Picture
from pipeline.readers.read import read_grid, read_picture, readable_slices, slices_in

if TYPE_CHECKING:
    from pipeline.readers.identity import DicomIdentity, dicom_identity, header_value
    from pipeline.readers.monai_reader import PlanarReader
    from pipeline.readers.monai_writer import SourceGridWriter, SourceLayout
    from pipeline.readers.segmentation import places_of_planes
    from pipeline.readers.segmentation_header import Segmentation, segmentation_of
    from pipeline.readers.series import (
        DicomSeries,
        group_series,
        numbered_against_normal,
        read_series,
        remember_volume,
        volume_of,
    )
    from pipeline.readers.writers import write_mask, write_probabilities

__all__ = [
    "SUFFIXES",
    "DicomIdentity",
    "DicomSeries",
    "Picture",
    "PlanarReader",
    "Segmentation",
    "SourceGridWriter",
    "SourceLayout",
    "decoded_once",
    "dicom_identity",
    "find_pictures",
    "finite_values",
    "group_series",
    "header_value",
    "natural_order",
    "numbered_against_normal",
    "passed_over",
    "places_of_planes",
    "read_grid",
    "read_mask",
    "read_picture",
    "read_series",
    "readable_slices",
    "remember_volume",
    "segmentation_of",
    "slices_in",
    "split_fragment",
    "stem_of",
    "volume_of",
    "write_mask",
    "write_probabilities",
]

__getattr__ = lazily(
    __name__,
    {
        "DicomIdentity": "identity",
        "DicomSeries": "series",
        "PlanarReader": "monai_reader",
        "Segmentation": "segmentation_header",
        "SourceGridWriter": "monai_writer",
        "SourceLayout": "monai_writer",
        "dicom_identity": "identity",
        "group_series": "series",
        "header_value": "identity",
        "numbered_against_normal": "series",
        "places_of_planes": "segmentation",
        "read_series": "series",
        "remember_volume": "series",
        "segmentation_of": "segmentation_header",
        "volume_of": "series",
        "write_mask": "writers",
        "write_probabilities": "writers",
    },
)
