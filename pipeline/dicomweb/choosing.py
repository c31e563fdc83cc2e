"""Which of the series that a query finds are images, and which are what others, or we, made of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.dicomweb.listing import Instance, Series

__all__ = ["OWN", "Choice", "are_slices", "choose"]

# Modalities of objects that are no pictures of a patient (PS3.16, CID 29 and 32).
WORDS = """
ANN AR ASMT AU CTPROTOCOL DOC ECG EEG EMG EOG EPS FID HD KER KO LEN M3D OAM OPM OSS PLAN POS PR REG RESP RTDOSE RTINTENT
RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SMR SR SRF STAIN TEXTUREMAP VA
"""
NO_IMAGES = frozenset(WORDS.split())
# What our own results have as Manufacturer.
OWN = "Planar"
# One slice an object, so that a series of them is a volume: CT, MR, PET, and RT images of CT.
SLICES = frozenset(
    {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128"},
)
SLICED = frozenset({"CT", "MR", "PT"})


@dataclass(frozen=True)
class Choice:
    """Series that are images, and how many are not.

    Attributes:
        images: In their order.
        left_out: What else there is, such as "SEG" → 3.
    """

    images: tuple[Series, ...]
    left_out: Counter[str]

    def describe_left_out(self) -> str:
        """Such as "3 SEG, 1 SR"; "" if nothing was left out."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.left_out.items()))


def choose(series: Iterable[Series]) -> Choice:
    """Part series that hold images from those that hold masks, reports and the like.

    A series without a modality may hold anything: it is taken, and reading it says what it is.
    """
    images: list[Series] = []
    left_out: Counter[str] = Counter()
    for one in series:
        if one.modality in NO_IMAGES:
            left_out[one.modality] += 1
        elif one.manufacturer == OWN:
            left_out["results of Planar"] += 1
        else:
            images.append(one)
    return Choice(tuple(images), left_out)


def are_slices(series: Series, instances: Iterable[Instance]) -> bool:
    """Whether the instances of a series are slices of volumes, which can only be looked at together.

    Where the archive does not say what they are, they are taken for slices: reading them tells.
    """
    classes = {one.sop_class for one in instances}
    if classes - {""}:
        return not SLICES.isdisjoint(classes)
    return not series.modality or series.modality in SLICED
