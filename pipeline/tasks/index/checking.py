"""Looking at one image and its masks: everything that needs the pixels, in one decoding of each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datalist import Finding, pixel_digest
from pipeline.errors import UnknownLabel
from pipeline.labels import LabelCoding, MaskHistogram, nearest_colour, rgb_of, segments_coding
from pipeline.readers import Picture, header_value, read_picture
from pipeline.split import unit_hash
from pipeline.tasks.index.duplicates import thumbnail
from pipeline.tasks.index.pairing import Pair

__all__ = ["Case", "CheckPlan", "Checked", "check_pair", "count_values"]

# A mask of which more than this share lies far from all its levels or colours is coded otherwise.
MOST_STRAYS = 0.1
STRAYS_WORTH_TELLING = 0.005


@dataclass(frozen=True)
class CheckPlan:
    """What all cases of a set are checked against.

    Args:
        coding: Label coding; with several mask folders, with the class of each.
        n_classes: Number of classes with the background.
        segments_of: Class names, background first, that the segments of DICOM segmentations are matched with; None to
            take their numbers as any other values.
        subject_tag: DICOM keyword that names the subject.
        refuse_empty: Refuse cases whose mask is empty.
        keep_empty_slices: Share of a volume's slices without label that is kept.
    """

    coding: LabelCoding
    n_classes: int
    subject_tag: str = "PatientID"
    refuse_empty: bool = False
    keep_empty_slices: float = 0.0
    segments_of: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One picture with its mask, checked."""

    name: str
    image: str
    masks: tuple[str, ...]
    coding: str
    image_sha256: str
    label_sha256: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    modality: str
    tagged_subject: str
    class_pixels: tuple[int, ...]
    thumbnail: bytes


@dataclass(slots=True)
class Checked:
    """The cases that a pair gave: none if it was refused, several if it was a volume."""

    pair: Pair
    cases: list[Case] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


class _RefusedError(Exception):
    def __init__(self, file: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.finding = Finding(file, code, reason)


def count_values(pair: Pair) -> list[MaskHistogram | Finding]:
    """The stored values of the masks of a pair, one histogram for each mask folder, or why one cannot be read."""
    counted: list[MaskHistogram | Finding] = []
    for file in pair.masks:
        histogram = MaskHistogram()
        if file is not None:
            try:
                picture = _read(file, labels=True)
            except _RefusedError as refusal:
                counted.append(refusal.finding)
                continue
            histogram.lossy = picture.source_format == "JPEG"
            if picture.depth > 1:
                histogram.add_volume(picture.array)
            else:
                histogram.add(picture.array)
        counted.append(histogram)
    return counted


def check_pair(pair: Pair, plan: CheckPlan) -> Checked:
    """Decode and check an image with its masks. Whatever is wrong with the files is in the result, never raised."""
    checked = Checked(pair)
    try:
        image = _read(pair.image, labels=False)
        files = tuple(file for file in pair.masks if file is not None)
        masks = [_read(file, labels=True) for file in files]
        for file, mask in zip(files, masks, strict=True):
            _check_grid(pair.image, image, file, mask, checked)
        checked.warnings += [Finding(pair.image, "reader", line) for line in image.warnings]
        checked.warnings += [Finding(m.path, "reader", line) for m in masks if m.segments for line in m.warnings]
        subject = _tagged_subject(image, plan.subject_tag)
        coding = _coding_of(plan, pair, masks[0], checked)
        if image.depth == 1:
            classes = _decode(masks, files, coding, plan, checked)
            checked.cases.append(_check_slice(pair, image, masks, files, classes, coding, subject, plan, checked))
        else:
            _check_volume(pair, image, masks, files, coding, subject, plan, checked)
    except _RefusedError as refusal:
        checked.cases.clear()
        checked.refused.append(refusal.finding)
    return checked


def _read(file: str, *, labels: bool) -> Picture:
    try:
        return read_picture(file, labels=labels)
    except Exception as error:  # a decoder may raise anything on a damaged file, and the others go on
        line = " ".join(str(error).split()) or type(error).__name__
        raise _RefusedError(file, "unreadable", line.removeprefix(f"{file}: ")) from None


def _check_grid(image_file: str, image: Picture, file: str, mask: Picture, checked: Checked) -> None:
    if mask.grid.display_shape != image.grid.display_shape:
        sizes = ["×".join(map(str, picture.grid.display_shape)) for picture in (mask, image)]
        turned = " (turned by 90°?)" if mask.grid.display_shape[:2] == image.grid.display_shape[1::-1] else ""
        reason = f"mask {sizes[0]} does not match image {sizes[1]}{turned}. Export the mask again"
        raise _RefusedError(file, "size_mismatch", reason)
    if image.spacing_mm and mask.spacing_mm and "unknown" not in (image.spacing_source, mask.spacing_source):
        # Where the corners lie in the patient, compared in pixels.
        corners = np.array([[0, 0, 0, 1], [*image.grid.display_shape[:2], 0, 1], [0, 0, image.depth - 1, 1]], float).T
        apart = np.abs(image.affine @ corners - mask.affine @ corners)[:3].max()
        if apart > max(image.spacing_mm):
            reason = f"its grid lies {apart:.1f} mm beside the image's, though the sizes agree"
            checked.warnings.append(Finding(file, "geometry_differs", reason))


def _coding_of(plan: CheckPlan, pair: Pair, mask: Picture, checked: Checked) -> LabelCoding:
    """The set's coding for this pair: without the files that it lacks, in the indices of its palette or segments."""
    coding = plan.coding
    if plan.segments_of is not None and mask.segments:
        try:
            coding, others = segments_coding(mask.segments, plan.segments_of)
        except UnknownLabel as error:
            raise _RefusedError(mask.path, "unknown_label", str(error)) from None
        if others:
            reason = f"its segments {', '.join(others)} are no class of the set and count as background"
            checked.warnings.append(Finding(mask.path, "other_segments", reason))
        return coding
    if coding.files:
        present = tuple(n for n, file in zip(coding.files, pair.masks, strict=True) if file is not None)
        return replace(coding, files=present)
    if coding.kind.startswith("colours") and mask.palette is not None:
        used = np.unique(mask.array)
        meant = np.array([rgb_of(int(value)) for value, _ in coding.table], np.int32)
        nearest, squared = nearest_colour(mask.palette[used], meant)
        if coding.kind == "colours-exact" and squared.any():
            raise _RefusedError(mask.path, "unknown_label", f"its palette holds other colours than {coding}")
        numbers = [coding.table[k][1] for k in nearest]
        return LabelCoding("levels", table=tuple(zip(map(float, used), numbers, strict=True)))
    return coding


def _check_volume(
    pair: Pair,
    image: Picture,
    masks: Sequence[Picture],
    files: tuple[str, ...],
    coding: LabelCoding,
    subject: str,
    plan: CheckPlan,
    checked: Checked,
) -> None:
    left_out = 0
    for number in range(image.depth):
        part = replace(pair, name=f"{pair.name}#slice={number}", image=f"{pair.image}#slice={number}")
        cut = [mask.cut(number, f"{file}#slice={number}") for file, mask in zip(files, masks, strict=True)]
        names = tuple(mask.path for mask in cut)
        classes = _decode(cut, names, coding, plan, checked)
        if not classes.any() and unit_hash(part.name) >= plan.keep_empty_slices:
            left_out += 1
            continue
        case = _check_slice(part, image.cut(number, part.image), cut, names, classes, coding, subject, plan, checked)
        checked.cases.append(case)
    if left_out:
        reason = f"{left_out} of {image.depth} slices hold no label and were left out (--keep-empty-slices keeps some)"
        checked.warnings.append(Finding(pair.image, "empty_slices", reason))


def _check_slice(
    pair: Pair,
    image: Picture,
    masks: Sequence[Picture],
    files: tuple[str, ...],
    classes: NDArray[np.uint8],
    coding: LabelCoding,
    subject: str,
    plan: CheckPlan,
    checked: Checked,
) -> Case:
    class_pixels = np.bincount(classes.ravel(), minlength=plan.n_classes)
    if not class_pixels[1:].any():
        low, high = min(mask.array.min() for mask in masks), max(mask.array.max() for mask in masks)
        reason = f"no pixel belongs to a class: '{coding}' on values {low:g} to {high:g}"
        if plan.refuse_empty:
            raise _RefusedError(files[0], "empty_mask", reason)
        checked.warnings.append(Finding(files[0], "empty_mask", reason))
    if (image.array == image.array.flat[0]).all():
        checked.warnings.append(Finding(pair.image, "constant_image", f"every pixel is {image.array.flat[0]}"))
    if image.array.dtype.kind == "f" and not np.isfinite(image.array).all():
        reason = f"{np.count_nonzero(~np.isfinite(image.array))} pixels are NaN or infinite"
        checked.warnings.append(Finding(pair.image, "not_finite", reason))
    return Case(
        name=pair.name,
        image=pair.image,
        masks=files,
        coding=str(coding),
        image_sha256=pixel_digest(image.array),
        label_sha256=pixel_digest(*(mask.array for mask in masks)),
        shape=(int(image.array.shape[0]), int(image.array.shape[1])),
        spacing_mm=image.spacing_mm,
        modality=image.modality,
        tagged_subject=subject,
        class_pixels=tuple(class_pixels.tolist()),
        thumbnail=thumbnail(image.array),
    )


def _decode(
    masks: Sequence[Picture], files: tuple[str, ...], coding: LabelCoding, plan: CheckPlan, checked: Checked
) -> NDArray[np.uint8]:
    """Classes of a picture's masks, each file decoded alone so that overlaps can be told."""
    if not coding.files:
        parts = [(0, *_decode_one(masks[0], files[0], coding, plan.n_classes))]
        classes = parts[0][1]
    else:
        alone = [replace(coding, files=(number,)) for number in coding.files]
        parts = [
            (number, *_decode_one(mask, file, single, plan.n_classes))
            for number, mask, file, single in zip(coding.files, masks, files, alone, strict=True)
        ]
        classes = np.zeros_like(parts[0][1])
        overlap = 0
        for number, part, _ in parts:
            overlap += int(np.count_nonzero((part != 0) & (classes != 0) & (classes != number)))
            classes[part != 0] = number
        if overlap:
            reason = f"{overlap} pixels belong to the masks of several classes; the later folder wins"
            checked.warnings.append(Finding(files[0], "overlapping_masks", reason))
    for file, (_, part, strays) in zip(files, parts, strict=True):
        share = strays / part.size
        if share > MOST_STRAYS:
            reason = f"{share:.0%} of its pixels lie far from every value of '{coding}'"
            raise _RefusedError(file, "unknown_label", reason)
        if share > STRAYS_WORTH_TELLING:
            reason = f"{share:.1%} of its pixels lie far from every value of '{coding}'; the nearest was taken"
            checked.warnings.append(Finding(file, "stray_values", reason))
    return classes


def _decode_one(mask: Picture, file: str, coding: LabelCoding, n_classes: int) -> tuple[NDArray[np.uint8], int]:
    try:
        return coding.decode_counting(mask.array, n_classes=n_classes)
    except UnknownLabel as error:
        raise _RefusedError(file, "unknown_label", str(error)) from None


def _tagged_subject(image: Picture, tag: str) -> str:
    if image.source_format != "DICOM" or tag == "PatientID":
        return image.subject_id
    return header_value(image.path, tag)
