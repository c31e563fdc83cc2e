"""What a DICOM segmentation (SEG) says without its pixels: its segments, and which image each frame belongs to.

A segmentation holds a frame for each segment and plane that is not empty. Which image a frame belongs to is said by
the image's SOPInstanceUID (and frame number, for multi-frame images); single films have nothing else.

References: DICOM PS3.3, A.51 (Segmentation IOD), C.8.20 (Segmentation Image and its functional groups).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline.errors import UnsupportedImage
from pipeline.readers.dicom import dataset_of, is_segmentation
from pipeline.readers.dicom_geometry import orientation_of
from pipeline.readers.dicom_spacing import spacing_of_film
from pipeline.readers.functional_groups import functional_group, number_of_frames, numbers

__all__ = ["Segmentation", "described", "segmentation_of"]

Instance = tuple[str, int]  # SOPInstanceUID and frame from 1, 0 for an image of one frame


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a segmentation says, without its pixels.

    Attributes:
        kind: "BINARY", "FRACTIONAL" or "LABELMAP".
        segments: Number and label of each segment.
        frames: For each frame its segment (0 for a label map, whose pixels say it), and the images that it was made
            from.
        positions: ImagePositionPatient of each frame, or None.
        cosines: ImageOrientationPatient, or None for films.
        referenced: Every image that the segmentation refers to, in its order; those without a frame are empty there.
        shape: Columns and rows.
        spacing_mm: Pixel size (x, y), or None.
        spacing_source: Where the spacing was found.
        thickness_mm: Of a plane; 1 where it is unknown.
        frame_of_reference: FrameOfReferenceUID, or "".
        series: SeriesInstanceUID of the images.
        made: Date and time of the content, to tell the newest of several.
        subject_id: PatientID, or "".
    """

    kind: str
    segments: tuple[tuple[int, str], ...]
    frames: tuple[tuple[int, tuple[Instance, ...]], ...]
    positions: tuple[tuple[float, ...] | None, ...]
    cosines: tuple[float, ...] | None
    referenced: tuple[Instance, ...]
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    spacing_source: str
    thickness_mm: float
    frame_of_reference: str
    series: tuple[str, ...]
    made: str
    subject_id: str = field(repr=False)

    @property
    def names_images(self) -> bool:
        """Whether each frame says of exactly one image that it belongs to."""
        return all(len(sources) == 1 for _, sources in self.frames)

    def refers_to(self, uid: str, frame: int) -> bool:
        """Whether the segmentation names an image, with or without a frame for it."""
        # A reference without a number is one to all frames of an image.
        return not self.known_images.isdisjoint({*_spellings(uid, frame), (uid, 0)})

    @cached_property
    def known_images(self) -> frozenset[Instance]:
        """Every image that the segmentation names."""
        return frozenset({*self.referenced, *self._frames_by_image})

    @cached_property
    def _frames_by_image(self) -> dict[Instance, list[int]]:
        found: dict[Instance, list[int]] = {}
        for k, (_, sources) in enumerate(self.frames):
            for source in sources:
                found.setdefault(source, []).append(k)
        return found

    def frames_of(self, uid: str, frame: int) -> list[int]:
        """The frames that belong to an image; `frame` is 0 for the whole image, which has one."""
        found = {k for spelling in _spellings(uid, frame) for k in self._frames_by_image.get(spelling, ())}
        return sorted(found)


def _spellings(uid: str, frame: int) -> set[Instance]:
    """How a segmentation may name a frame: an image of one frame with its number or without."""
    return {(uid, frame), (uid, 1)} if frame == 0 else {(uid, frame), (uid, 0)} if frame == 1 else {(uid, frame)}


def segmentation_of(path: str) -> Segmentation:
    """Read the header of a segmentation.

    Raises: UnsupportedImage: if the file is no DICOM segmentation.
    """
    return described(path, dataset_of(path, stop_before_pixels=True))


def described(path: str, ds: Any) -> Segmentation:
    """What a segmentation says, from its data set.

    Raises: UnsupportedImage: if it is no DICOM segmentation.
    """
    if not is_segmentation(ds):
        raise UnsupportedImage(f"{path}: not a DICOM segmentation.")
    kind = str(ds.get("SegmentationType") or "BINARY")
    segments = tuple(
        (int(item.SegmentNumber), str(item.get("SegmentLabel") or "")) for item in ds.get("SegmentSequence") or ()
    )
    count = number_of_frames(ds) if ds.get("PerFrameFunctionalGroupsSequence") or "NumberOfFrames" in ds else 0
    frames, positions = [], []
    for frame in range(count):
        segment = 0
        if kind != "LABELMAP":
            identified = functional_group(ds, frame, "SegmentIdentificationSequence")
            segment = (
                int(identified.ReferencedSegmentNumber) if identified is not None else (segments or ((1, ""),))[0][0]
            )
        derived = functional_group(ds, frame, "DerivationImageSequence")
        frames.append((segment, _sources(derived.get("SourceImageSequence") if derived is not None else None)))
        place = functional_group(ds, frame, "PlanePositionSequence")
        positions.append(numbers(place, "ImagePositionPatient", 3) if place is not None else None)
    return Segmentation(
        kind,
        segments,
        tuple(frames),
        tuple(positions),
        orientation_of(ds),
        _referenced(ds),
        (int(ds.Columns), int(ds.Rows)),
        *spacing_of_film(ds)[:2],
        _thickness(ds),
        str(ds.get("FrameOfReferenceUID") or ""),
        tuple(str(item.get("SeriesInstanceUID") or "") for item in ds.get("ReferencedSeriesSequence") or ()),
        f"{ds.get('ContentDate') or ds.get('SeriesDate') or ''}{ds.get('ContentTime') or ds.get('SeriesTime') or ''}",
        str(ds.get("PatientID") or ""),
    )


def _sources(items: Any) -> tuple[Instance, ...]:
    """The images that a sequence names, frame by frame."""
    found: list[Instance] = []
    for item in items or ():
        uid, frames = str(item.get("ReferencedSOPInstanceUID") or ""), item.get("ReferencedFrameNumber")
        if frames in (None, ""):
            found.append((uid, 0))
        else:
            found += [(uid, int(frame)) for frame in ([frames] if isinstance(frames, (int, str)) else frames)]
    return tuple(dict.fromkeys(instance for instance in found if instance[0]))


def _referenced(ds: Any) -> tuple[Instance, ...]:
    series = ds.get("ReferencedSeriesSequence") or ()
    listed = [_sources(item.get("ReferencedInstanceSequence")) for item in series]
    return tuple(dict.fromkeys(instance for instances in listed for instance in instances))


def _thickness(ds: Any) -> float:
    measures = functional_group(ds, 0, "PixelMeasuresSequence")
    found = numbers(measures, "SliceThickness", 1) if measures is not None else None
    return found[0] if found and found[0] > 0 else 1.0
