"""Masks and probabilities as DICOM Segmentation objects."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from pipeline import MANUFACTURER
from pipeline.atomic import written_aside
from pipeline.dicom_seg.algorithm import LONG_STRING, Algorithm, Annotation
from pipeline.dicom_seg.identity import (
    copy_identity,
    instance_number,
    result_series_uid,
    result_uid,
    series_number,
)
from pipeline.dicom_seg.segment_descriptions import segment_descriptions
from pipeline.dicom_seg.source import SourceImages
from pipeline.dicom_seg.stand_ins import restore_references, stand_ins, unplace
from pipeline.dicom_seg.terms import Term
from pipeline.errors import InvalidOption, PlanarError, UnsupportedImage
from pipeline.readers.functional_groups import number_of_frames
from pipeline.readers.quiet import quiet_libraries

__all__ = ["KINDS", "make_seg", "write_seg"]

KINDS = ("binary", "fractional", "labelmap")
SERIES_OFFSET = 51
# Probabilities are kept in steps of 1/255.
MOST_FRACTION = 255


def write_seg(
    path: str | Path,
    images: SourceImages,
    array: npt.NDArray[Any],
    terms: Mapping[int, Term],
    algorithm: Algorithm | Annotation,
    *,
    kind: str = "binary",
    instance: str | None = None,
) -> None:
    """Write a SEG; see `make_seg`. It appears under its name when it is complete."""
    ds = make_seg(images, array, terms, algorithm, kind=kind, instance=instance)
    with written_aside(path) as aside, quiet_libraries():
        ds.save_as(aside)


def make_seg(
    images: SourceImages,
    array: npt.NDArray[Any],
    terms: Mapping[int, Term],
    algorithm: Algorithm | Annotation,
    *,
    kind: str = "binary",
    instance: str | None = None,
) -> Any:
    """A SEG of the images it was made from.

    Its frames have the rows and columns of the source's, one for each slice and class that is not empty, and each names
    the instance and frame it belongs to. Images with a place in the patient keep it with their frame of reference;
    films need none. Patient and study are the source's.

    Args:
        images: What the mask belongs to.
        array: Class indices (W, H[, D]) for "binary" and "labelmap"; for "fractional" probabilities (C, W, H[, D]), the
            background first; in display orientation.
        terms: Class index → term; the segments are numbered as the classes.
        algorithm: That made the mask, or that people drew it.
        kind: One of `KINDS`: a bit a pixel and class; 8-bit probabilities; or one picture of class indices, which is
            new in DICOM 2024 and smaller, and which older viewers do not know.
        instance: SOPInstanceUID; by default one made of all that goes in and of the mask itself.
    Returns: The data set.

    Raises:
        InvalidOption: for another kind, or one that the installed highdicom does not have.
        GeometryMismatch: if the array is not on the images' grid.
        UnsupportedImage: if no SEG of these images can be made.
    """
    if kind not in KINDS:
        raise InvalidOption(f"There is no kind of segmentation '{kind}'. Choose from {', '.join(KINDS)}.")
    if not hasattr(hd.seg.SegmentationTypeValues, kind.upper()):
        raise InvalidOption(f"highdicom {hd.__version__} writes no {kind} SEG. Choose binary, or install a newer one.")
    pixels = _pixels(images, array, kind)
    instance = instance or result_uid(
        "seg",
        kind,
        algorithm.digest,
        algorithm.software,
        sorted(terms.items()),
        images.frames,
        [str(header.SOPInstanceUID) for header in images.headers],
        hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
    )
    try:
        with quiet_libraries():
            return _built(images, pixels, terms, algorithm, kind, instance)
    except PlanarError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnsupportedImage(
            f"{images.path}: no DICOM SEG can be made of it ({said}). Give --format nifti."
        ) from error


def _built(
    images: SourceImages,
    pixels: npt.NDArray[Any],
    terms: Mapping[int, Term],
    algorithm: Algorithm | Annotation,
    kind: str,
    instance: str,
) -> Any:
    first = images.first
    labels = ", ".join(term.label for term in terms.values())
    seg = hd.seg.Segmentation(
        source_images=stand_ins(images),
        pixel_array=pixels,
        segmentation_type=kind.upper(),
        segment_descriptions=segment_descriptions(terms, algorithm),
        series_instance_uid=result_series_uid("seg", first.SeriesInstanceUID, algorithm.digest),
        series_number=series_number(first, SERIES_OFFSET),
        sop_instance_uid=instance,
        instance_number=instance_number(first),
        manufacturer=MANUFACTURER,
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.software,
        device_serial_number=algorithm.digest[:LONG_STRING],
        max_fractional_value=MOST_FRACTION,
        content_label="SEGMENTATION",
        content_description=labels[:LONG_STRING],
        series_description=algorithm.title,
        transfer_syntax_uid=ExplicitVRLittleEndian if kind == "binary" else RLELossless,
    )
    if images.multi_frame and not images.placed:
        unplace(seg)
    if not images.placed:  # frames of films have no orientation in space, but the sides that their image has
        seg.PatientOrientation = first.get("PatientOrientation") or ""
    restore_references(seg, images)
    _name_dimensions(seg, result_uid("dimensions", instance))
    copy_identity(seg, first, (labels, algorithm.title))
    if isinstance(algorithm, Annotation):
        # Of several the newest counts.
        seg.ContentDate = f"{algorithm.local_time:%Y%m%d}"
        seg.ContentTime = f"{algorithm.local_time:%H%M%S.%f}"
    return seg


def _name_dimensions(seg: Any, uid: str) -> None:
    """Give the organisation of the frames an identifier of this object's, for highdicom's is a new one each time."""
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _pixels(images: SourceImages, array: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """What highdicom takes, (D, rows, columns[, S]): a frame a slice, or every frame of a multi-frame source."""
    if kind == "fractional":
        classes = [images.stored(one) for one in array[1:]]
        stored = np.clip(np.stack(classes, axis=-1), 0, 1).astype(np.float32, copy=False)
    else:
        stored = images.stored(array).astype(np.uint8 if array.max(initial=0) < 256 else np.uint16, copy=False)
    if not images.multi_frame:
        return stored
    every = np.zeros((number_of_frames(images.first), *stored.shape[1:]), stored.dtype)
    every[[frame for _, frame in images.frames]] = stored
    return every
