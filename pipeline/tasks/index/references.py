"""Masks that say themselves which images they belong to: DICOM segmentations.

A segmentation names the SOPInstanceUID of each image that it was made from. Where it does not, its planes are matched
with the images by their place in the patient. Names of files play no part.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.datalist import Finding
from pipeline.errors import InvalidOption, PlanarError
from pipeline.readers import DicomIdentity, Segmentation, dicom_identity, places_of_planes, segmentation_of
from pipeline.readers.container import is_dicom
from pipeline.split import unit_hash
from pipeline.tasks.index.names import case_name
from pipeline.tasks.index.pairing import Pair, Pairing
from pipeline.tasks.index.sources import Source

__all__ = ["Reference", "find_segmentations", "pair_by_reference"]

# A plane and an image lie at one place within this, mm, and this in their cosines.
SAME_PLACE_MM, SAME_COSINES = 0.1, 1e-3


@dataclass(frozen=True, eq=False)
class Reference:
    """A segmentation, and where its planes lie if it names no images."""

    file: str
    seg: Segmentation
    planes: tuple[tuple[float, ...] | None, ...] = ()


def find_segmentations(masks: Source, others: Sequence[str] = ()) -> tuple[list[Reference], list[Finding]]:
    """The DICOM segmentations among masks.

    Args:
        masks: The masks that the user gave.
        others: Files that may lie among them and are no masks: the images, where both lie in one folder.
    Returns: The segmentations (none if the masks are something else), and those that cannot be read.
    Raises: InvalidOption: if segmentations and other masks are mixed.
    """
    found, refused, strangers = [], [], []
    images = set(others)
    for file in masks.files:
        try:
            identity = dicom_identity(file) if is_dicom(file) else None
            if identity is not None and identity.is_segmentation:
                seg = segmentation_of(file)
                places = () if seg.names_images and seg.frames else tuple(places_of_planes(file))
                found.append(Reference(file, seg, places))
            elif identity is not None and not identity.instance:
                refused.append(Finding(file, "unreadable", "a DICOM file without its identifiers, cut short?"))
            elif file not in images:
                strangers.append(file)
        except (PlanarError, OSError) as error:
            refused.append(Finding(file, "unreadable", " ".join(str(error).split()).removeprefix(f"{file}: ")))
    if not found:
        return [], []
    if strangers:
        raise InvalidOption(
            f"{masks.given} holds DICOM segmentations and other masks ({os.path.basename(strangers[0])} …). "  # noqa: PTH119
            "Keep them in two folders and index each."
        )
    return found, refused


def pair_by_reference(images: Source, references: Sequence[Reference], *, keep_empty: float = 0.0) -> Pairing:
    """Pair each image, or slice of a multi-frame image, with what a segmentation says of it.

    Of several segmentations with the same segments that refer to one image, the newest is taken.

    Args:
        images: The images; segmentations among them are passed over.
        references: The segmentations.
        keep_empty: Share of the images without any segment that is kept, where a segmentation refers to several.
    Raises: InvalidOption: if no image belongs to a segmentation.
    """
    pairing = Pairing()
    used: Counter[str] = Counter()
    left_out: dict[str, list[str]] = defaultdict(list)
    for file in images.files:
        try:
            identity = dicom_identity(file)
        except (PlanarError, OSError) as error:
            reason = " ".join(str(error).split()).removeprefix(f"{file}: ")
            pairing.refused.append(Finding(file, "unreadable", reason))
            continue
        if identity is None or not identity.instance:
            pairing.refused.append(Finding(file, "missing_mask", "no DICOM image, to which a segmentation could refer"))
        elif not identity.is_segmentation:
            _pair_image(images, file, identity, references, keep_empty, pairing, used, left_out)
    if not pairing.pairs and not left_out:
        raise InvalidOption(
            f"No image belongs to a segmentation: {len(images.files)} images, {len(references)} segmentations that "
            "refer to others. Give the images that they were made from."
        )
    for mask, slices in left_out.items():
        reason = f"{len(slices)} images of it hold no segment and were left out (--keep-empty-slices keeps some)"
        pairing.warnings.append(Finding(mask, "empty_slices", reason))
    for reference in references:
        if not used[reference.file] and reference.file not in left_out:
            reason = "none of the images that it refers to is here"
            pairing.refused.append(Finding(reference.file, "mask_without_image", reason))
    return pairing


def _pair_image(
    images: Source,
    file: str,
    identity: DicomIdentity,
    references: Sequence[Reference],
    keep_empty: float,
    pairing: Pairing,
    used: Counter[str],
    left_out: dict[str, list[str]],
) -> None:
    name = case_name(images.name_of(file))
    for number, frame in enumerate(identity.frames):
        several = len(identity.frames) > 1
        part = f"{name}#slice={number}" if several else name
        image = f"{file}#slice={number}" if several else file
        fitting = [(r, mask) for r in references for mask in [_mask_for(r, identity, number, frame)] if mask]
        chosen = _newest(file, fitting, pairing)
        if chosen is not None and _is_empty(chosen[0], identity, frame) and unit_hash(part) >= keep_empty:
            left_out[chosen[0].file].append(image)
            continue
        if chosen is not None:
            used[chosen[0].file] += 1
            pairing.pairs.append(Pair(part, image, (chosen[1],)))
        elif not fitting:
            series = [r for r in references if identity.series and identity.series in r.seg.series]
            if series:
                left_out[series[0].file].append(image)
            else:
                pairing.refused.append(Finding(image, "missing_mask", "no segmentation refers to it"))


def _mask_for(reference: Reference, identity: DicomIdentity, number: int, frame: int) -> str | None:
    """What a segmentation says of one slice of an image, as a path; None if it does not know it."""
    if reference.seg.refers_to(identity.instance, frame):
        return f"{reference.file}#instance={identity.instance}{f':{frame}' if frame else ''}"
    if not reference.planes or identity.places is None or identity.cosines is None:
        return None
    frames = {reference.seg.frame_of_reference, identity.frame_of_reference} - {""}
    if len(frames) > 1 or not np.allclose(identity.cosines, reference.seg.cosines or np.inf, atol=SAME_COSINES):
        return None
    for plane, place in enumerate(reference.planes):
        if place is not None and np.allclose(place, identity.places[number], atol=SAME_PLACE_MM):
            return f"{reference.file}#slice={plane}" if len(reference.planes) > 1 else reference.file
    return None


def _newest(file: str, fitting: Sequence[tuple[Reference, str]], pairing: Pairing) -> tuple[Reference, str] | None:
    """The segmentation of an image; None, and a refusal, if several contradict each other."""
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    names = [os.path.basename(reference.file) for reference, _ in fitting]  # noqa: PTH119
    if len({frozenset(label for _, label in reference.seg.segments) for reference, _ in fitting}) > 1:
        reason = f"{len(names)} segmentations of different segments refer to it ({', '.join(names[:3])}). Keep one"
        pairing.refused.append(Finding(file, "ambiguous_mask", reason))
        return None
    newest = max(fitting, key=lambda one: one[0].seg.made)
    reason = f"{len(names)} segmentations refer to it; {os.path.basename(newest[0].file)} is the newest"  # noqa: PTH119
    pairing.warnings.append(Finding(file, "several_masks", reason))
    return newest


def _is_empty(reference: Reference, identity: DicomIdentity, frame: int) -> bool:
    """Whether a segmentation of several images found nothing in this one; a single film without finding is a case."""
    seg = reference.seg
    known = seg.refers_to(identity.instance, frame)
    return len(seg.known_images) > 1 and known and not seg.frames_of(identity.instance, frame)
