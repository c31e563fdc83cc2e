"""The DICOM images that a mask belongs to: which frame of which instance each of its slices is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.dicom_seg.identity import result_uid
from pipeline.errors import UnsupportedImage
from pipeline.fragments import split_fragment
from pipeline.geometry import SourceGrid
from pipeline.readers.container import container_of
from pipeline.readers.dicom import read_header
from pipeline.readers.dicom_geometry import frame_positions, layout_of, orientation_of
from pipeline.readers.faults import library_errors

if TYPE_CHECKING:
    from pipeline.readers import DicomSeries

__all__ = ["SourceImages", "source_images"]

# Without these an object cannot be referred to; the file's own header repeats them.
OF_THE_OBJECT = {"SOPClassUID": "MediaStorageSOPClassUID", "SOPInstanceUID": "MediaStorageSOPInstanceUID"}
# Without these there is a place in no archive, which some anonymised sets do not have.
OF_THE_ARCHIVE = ("StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True, eq=False)
class SourceImages:
    """What a mask was made from.

    Attributes:
        path: File or folder, as the user knows it.
        headers: Data sets without pixels, one a file.
        frames: For each slice of the mask, in display order: the number of its header, and of the frame in it, from 0.
        grid: Of the mask.
        placed: Whether each frame has a place in the patient; else the images are films.
        warnings: What a user should know, one line each.
    """

    path: str
    headers: tuple[Any, ...]
    frames: tuple[tuple[int, int], ...]
    grid: SourceGrid
    placed: bool
    warnings: tuple[str, ...] = ()

    @property
    def first(self) -> Any:
        """The header of the first slice."""
        return self.headers[self.frames[0][0]]

    @property
    def multi_frame(self) -> bool:
        """Whether the slices are frames of one object, which are referred to by number."""
        return "NumberOfFrames" in self.first and (
            int(self.first.NumberOfFrames or 1) > 1 or "PerFrameFunctionalGroupsSequence" in self.first
        )

    def stored(self, display: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Slices as the images store them.

        Args:
            display: (W, H[, D]) in display orientation, on the grid of the mask.
        Returns: (D, rows, columns), in the order of `frames`.
        Raises: GeometryMismatch: if it is not on this grid.
        """
        depth = self.grid.depth
        if depth == 1:
            whole = self.grid.to_source(display)
            return whole.reshape(whole.shape[:2]).T[np.newaxis]
        self.grid.to_source(display)  # a view; it says what is wrong with the size
        planes = [self.grid.cut(number).to_source(display[:, :, number]) for number in range(depth)]
        return np.stack([plane.reshape(plane.shape[:2]).T for plane in planes])


def source_images(source: str | DicomSeries) -> SourceImages:
    """The images behind a path, from their headers.

    Args:
        source: A DICOM file, a folder that holds one series, either with `#slice=K`; or a series.

    Raises:
        UnsupportedImage: if it is not DICOM, or has no identifiers to refer to.
        UnreadableImage: as reading does.
    """
    if not isinstance(source, str):
        return _of_series(source.folder, source.files, source.grid)
    file, number = split_fragment(source)
    container = container_of(file)
    if container == "series":
        from pipeline.readers.series import series_in

        with library_errors(file, "series"):
            series = series_in(file)
        if number is None:
            return _of_series(file, series.files, series.grid)
        return _of_series(source, (series.files[number],), series.grid.cut(number))
    if container != "DICOM":
        raise UnsupportedImage(
            f"{source}: a {container} file has no identifiers that a DICOM mask could refer to. Give the DICOM "
            "image, or --format png or nifti."
        )
    return _of_file(source, file, number)


def _of_series(path: str, files: tuple[str, ...], grid: SourceGrid) -> SourceImages:
    headers = tuple(_header(file) for file in files)
    with library_errors(path, "DICOM"):
        told = _complete(headers)
    instances = Counter(str(header.SOPInstanceUID) for header in headers)
    count = max(instances.values())
    if count > 1:
        raise UnsupportedImage(
            f"{path}: {count} slices have one SOPInstanceUID, so that no mask can tell them apart. Export them again, "
            "or give --format nifti."
        )
    return SourceImages(path, headers, tuple((number, 0) for number in range(len(files))), grid, True, told)


def _of_file(path: str, file: str, number: int | None) -> SourceImages:
    header = _header(file)
    with library_errors(file, "DICOM"):
        told = _complete((header,))
        layout = layout_of(header)
        grid, count = layout.grid, layout.grid.depth
        positions = frame_positions(header, count)
    frames = [(0, frame) for frame in layout.frames_shown]
    # One film has a place as soon as its header says so; the frames of a loop all have the same, which places none.
    placed = orientation_of(header) is not None and positions is not None and (count == 1 or layout.order is not None)
    if number is not None and count > 1:
        return SourceImages(path, (header,), (frames[number],), grid.cut(number), placed, told)
    return SourceImages(path, (header,), tuple(frames), grid, placed, told)


def _header(file: str) -> Any:
    with library_errors(file, "DICOM"):
        header = read_header(file)
        for keyword, in_meta in OF_THE_OBJECT.items():
            if not _said(header, keyword):
                repeated = _said(getattr(header, "file_meta", {}), in_meta)
                if not repeated:
                    raise UnsupportedImage(
                        f"{file}: the image has no {keyword}, so that no mask can refer to it. Export it again, "
                        "or give --format png or nifti."
                    )
                setattr(header, keyword, repeated)
    return header


def _complete(headers: tuple[Any, ...]) -> tuple[str, ...]:
    """Give images without a study or series one of our own, the same for all of them, and say so."""
    first = headers[0]
    missing = [keyword for keyword in OF_THE_ARCHIVE if not all(_said(header, keyword) for header in headers)]
    origin = _said(first, "FrameOfReferenceUID") or _said(first, "SOPInstanceUID")
    for keyword in missing:
        own = result_uid(keyword, origin)
        for header in headers:
            setattr(header, keyword, own)
    if not missing:
        return ()
    return (f"There is no {' and no '.join(missing)}: the DICOM result gets one of its own, and is filed apart.",)


def _said(header: Any, keyword: str) -> str:
    return str(header.get(keyword) or "").strip()
