"""DICOM Segmentation objects: written beside the images they belong to, and read back as masks.

highdicom is imported here and nowhere else, and only when an object is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.dicom_seg.algorithm import Algorithm, Annotation, algorithm_of
from pipeline.dicom_seg.identity import result_series_uid, uid_from_inputs
from pipeline.dicom_seg.terms import Code, Term, read_terms, terms_of
from pipeline.lazy import lazily

if TYPE_CHECKING:
    from pipeline.dicom_seg.secondary_capture import write_secondary_capture
    from pipeline.dicom_seg.seg import write_seg
    from pipeline.dicom_seg.source import SourceImages, source_images

__all__ = [
    "Algorithm",
    "Annotation",
    "Code",
    "SourceImages",
    "Term",
    "algorithm_of",
    "read_terms",
    "result_series_uid",
    "source_images",
    "terms_of",
    "uid_from_inputs",
    "write_secondary_capture",
    "write_seg",
]

__getattr__ = lazily(
    __name__,
    {
        "SourceImages": "source",
        "source_images": "source",
        "write_secondary_capture": "secondary_capture",
        "write_seg": "seg",
    },
)
