"""Looking at one image and its masks: everything that needs the pixels, in one decoding of each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datalist import Finding, pixel_digest
from pipeline.labels import GREY_TOLERANCE, LabelCoding, MaskHistogram
from pipeline.readers import Picture, header_value, read_picture
from pipeline.split import unit_hash
from pipeline.tasks.index.decoding import RefusedError, classes_of, coding_of
from pipeline.tasks.index.duplicates import thumbnail
from pipeline.tasks.index.orientation import mask_on_image
from pipeline.tasks.index.pairing import Pair

__all__ = ["Case", "CheckPlan", "Checked", "check_pair", "count_values", "thumbnail_of"]


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
        masks_as: What masks were drawn on that do not lie as their image does; see `mask_on_image`.
    """

    coding: LabelCoding
    n_classes: int
    subject_tag: str = "PatientID"
    refuse_empty: bool = False
    keep_empty_slices: float = 0.0
    segments_of: tuple[str, ...] | None = None
    masks_as: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One picture with its mask, checked.

    Attributes:
        study: Whose it is where its file names no patient: the StudyInstanceUID of anonymised DICOM, or "".
        mask_holds_something: Whether a mask has stored values other than 0 (in a JPEG, more than noise), be they a
            class or not.
    """

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
    study: str
    class_pixels: tuple[int, ...]
    thumbnail: bytes
    mask_holds_something: bool


@dataclass(slots=True)
class Checked:
    """The cases that a pair gave: none if it was refused, several if it was a volume."""

    pair: Pair
    cases: list[Case] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


def count_values(pair: Pair) -> list[MaskHistogram | Finding]:
    """The stored values of the masks of a pair, one histogram for each mask, or why one cannot be read."""
    counted: list[MaskHistogram | Finding] = []
    for file in pair.masks:
        histogram = MaskHistogram()
        if file is not None:
            try:
                picture = _read(file, labels=True)
            except RefusedError as refusal:
                counted.append(refusal.finding)
                continue
            histogram.lossy = picture.source_format == "JPEG"
            if picture.depth > 1:
                histogram.add_volume(picture.array)
            else:
                histogram.add(picture.array, picture.palette)
        counted.append(histogram)
    return counted


def check_pair(pair: Pair, plan: CheckPlan) -> Checked:
    """Decode and check an image with its masks. Whatever is wrong with the files is in the result, never raised."""
    checked = Checked(pair)
    try:
        image = _read(pair.image, labels=False)
        files = tuple(file for file in pair.masks if file is not None)
        laid = [mask_on_image(image, f, _read(f, labels=True), plan.masks_as, checked.warnings) for f in files]
        files, masks = tuple(file for file, _ in laid), [mask for _, mask in laid]
        checked.warnings += [Finding(pair.image, "reader", line) for line in image.warnings]
        checked.warnings += [Finding(m.path, "reader", line) for m in masks if m.segments for line in m.warnings]
        subject = _tagged_subject(image, plan.subject_tag)
        coding = coding_of(pair, masks, plan.coding, plan.segments_of, checked.warnings)
        if image.depth == 1:
            classes = classes_of(masks, files, coding, plan.n_classes, checked.warnings)
            checked.cases.append(_check_slice(pair, image, masks, files, classes, coding, subject, plan, checked))
        else:
            _check_volume(pair, image, masks, files, coding, subject, plan, checked)
    except RefusedError as refusal:
        checked.cases.clear()
        checked.refused.append(refusal.finding)
    return checked


def _read(file: str, *, labels: bool) -> Picture:
    try:
        return read_picture(file, labels=labels)
    except Exception as error:  # a decoder may raise anything on a damaged file, and the others go on
        line = " ".join(str(error).split()) or type(error).__name__
        raise RefusedError(file, "unreadable", line.removeprefix(f"{file}: ")) from None


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
        classes = classes_of(cut, names, coding, plan.n_classes, checked.warnings)
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
            raise RefusedError(files[0], "empty_mask", reason)
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
        study="" if subject or image.source_format != "DICOM" else header_value(image.path, "StudyInstanceUID"),
        class_pixels=tuple(class_pixels.tolist()),
        thumbnail=thumbnail(image.array),
        mask_holds_something=any(_holds_something(mask) for mask in masks),
    )


def thumbnail_of(file: str, side: int) -> bytes:
    """A thumbnail of an image that was checked; b"" if it cannot be read any more."""
    try:
        return thumbnail(_read(file, labels=False).array, side)
    except RefusedError:
        return b""


def _holds_something(mask: Picture) -> bool:
    return bool(mask.array.max() > (GREY_TOLERANCE if mask.source_format == "JPEG" else 0))


def _tagged_subject(image: Picture, tag: str) -> str:
    if image.source_format != "DICOM" or tag == "PatientID":
        return image.subject_id
    return header_value(image.path, tag)
