"""Which DICOM object a file is, and where it lies: what a segmentation knows of the images that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.archives import is_folder
from pipeline.fragments import split_fragment
from pipeline.readers.container import container_of
from pipeline.readers.dicom import dataset_of, is_segmentation
from pipeline.readers.dicom_geometry import frame_positions, layout_of, orientation_of
from pipeline.readers.faults import library_errors
from pipeline.readers.series import series_in

__all__ = ["DicomIdentity", "dicom_identity", "header_value"]


@dataclass(frozen=True)
class DicomIdentity:
    """A DICOM object by its identifiers.

    Attributes:
        instance: SOPInstanceUID.
        series: SeriesInstanceUID, or "".
        frame_of_reference: FrameOfReferenceUID, or "".
        is_segmentation: Whether it is a segmentation; then what follows says nothing.
        frames: For each slice in display order the number of its frame, from 1; (0,) for an object of one frame.
        places: ImagePositionPatient of each slice, mm, or None.
        cosines: ImageOrientationPatient, or None for a film.
    """

    instance: str
    series: str
    frame_of_reference: str
    is_segmentation: bool
    frames: tuple[int, ...] = (0,)
    places: tuple[tuple[float, ...], ...] | None = None
    cosines: tuple[float, ...] | None = None


def dicom_identity(path: str) -> DicomIdentity | None:
    """Read the identifiers of a DICOM file; None if it is another format.

    Raises: MissingFile, UnreadableImage, UnsupportedImage: as `read_picture`, as far as the header tells.
    """
    if container_of(path) != "DICOM":
        return None
    with library_errors(path, "DICOM"):
        ds = dataset_of(path, stop_before_pixels=True)
        named = (str(ds.get(k) or "") for k in ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"))
        instance, series, frame_of_reference = named
        if is_segmentation(ds) or "Rows" not in ds or "Columns" not in ds:
            return DicomIdentity(instance, series, frame_of_reference, is_segmentation(ds))
        shown = layout_of(ds).frames_shown
        cosines, places = orientation_of(ds), frame_positions(ds, len(shown))
        return DicomIdentity(
            instance,
            series,
            frame_of_reference,
            False,
            (0,) if len(shown) == 1 else tuple(frame + 1 for frame in shown),
            None if places is None else tuple(tuple(places[frame].tolist()) for frame in shown),
            cosines,
        )


def header_value(path: str, keyword: str) -> str:
    """The text of an element of a DICOM file, or of the first slice of a series; "" where it is missing.

    Args:
        path: A DICOM file, the folder of a series, or a slice of either.
        keyword: Of the element.
    """
    file = split_fragment(path)[0]
    with library_errors(file, "DICOM"):
        one = series_in(file).files[0] if is_folder(file) else file
        return str(dataset_of(one, stop_before_pixels=True, specific_tags=[keyword]).get(keyword) or "")
