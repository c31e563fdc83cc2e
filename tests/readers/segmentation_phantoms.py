"""DICOM segmentations, written element by element."""

import numpy as np
from reader_phantoms import dicom_of, item, save_dicom

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"


def source_of(uid, frame=0):
    named = {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": uid}
    return item(**named, **({"ReferencedFrameNumber": frame} if frame else {}))


def segmentation(
    frames, *, segments=("first",), kind="BINARY", referenced=None, cosines=None, spacing=None, **elements
):
    """A SEG data set.

    Args:
        frames: (mask of shape (rows, columns), segment number, source UID or (UID, frame) or None, position or None).
        segments: Labels of the segments from 1, or {number: label}.
        kind: SegmentationType.
        referenced: (UID, frame) of all images that it refers to; by default those of the frames.
        cosines: ImageOrientationPatient.
        spacing: PixelSpacing.
        **elements: More of them.
    """
    sources = [s if isinstance(s, tuple) or s is None else (s, 0) for _, _, s, _ in frames]
    stored = np.stack([np.asarray(mask) for mask, *_ in frames]).astype(np.uint8)
    binary = kind == "BINARY"
    ds = dicom_of(stored, sop_class=LABELMAP if kind == "LABELMAP" else SEG, Modality="SEG", SegmentationType=kind)
    ds.NumberOfFrames, ds.SamplesPerPixel, ds.PhotometricInterpretation = len(frames), 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[1:]
    if binary:
        ds.BitsAllocated = ds.BitsStored = 1
        ds.HighBit, ds.PixelData = 0, np.packbits(stored.ravel(), bitorder="little").tobytes()
    elif kind == "FRACTIONAL":
        ds.MaximumFractionalValue = 200
    if len(ds.PixelData) % 2:
        ds.PixelData += b"\0"
    named = segments if isinstance(segments, dict) else dict(enumerate(segments, 1))
    ds.SegmentSequence = [item(SegmentNumber=number, SegmentLabel=label) for number, label in named.items()]
    groups = []
    for (_, number, _, position), source in zip(frames, sources, strict=True):
        group = {}
        if kind != "LABELMAP":
            group["SegmentIdentificationSequence"] = [item(ReferencedSegmentNumber=number)]
        if source is not None:
            group["DerivationImageSequence"] = [item(SourceImageSequence=[source_of(*source)])]
        if position is not None:
            group["PlanePositionSequence"] = [item(ImagePositionPatient=list(position))]
        groups.append(item(**group))
    ds.PerFrameFunctionalGroupsSequence = groups
    shared = {}
    if cosines is not None:
        shared["PlaneOrientationSequence"] = [item(ImageOrientationPatient=list(cosines))]
    if spacing is not None:
        shared["PixelMeasuresSequence"] = [item(PixelSpacing=list(spacing), SliceThickness=2)]
    ds.SharedFunctionalGroupsSequence = [item(**shared)]
    instances = dict.fromkeys(referenced if referenced is not None else [s for s in sources if s is not None])
    if instances:
        of_series = item(ReferencedInstanceSequence=[source_of(*instance) for instance in instances])
        of_series.SeriesInstanceUID = elements.pop("series", "1.2.3")
        ds.ReferencedSeriesSequence = [of_series]
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def write_segmentation(path, frames, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_dicom(segmentation(frames, **options), path)
