"""Which of the series that a query finds are images, and which are what others, or we, made of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline import MANUFACTURER
from pipeline.dicomweb.listing import Instance, Series

__all__ = ["Choice", "alike", "are_slices", "choose"]

# Modalities of objects that are no pictures of a patient (PS3.16, CID 29 and 32).
WORDS = """
ANN AR ASMT AU CTPROTOCOL DOC ECG EEG EMG EOG EPS FID HD KER KO LEN M3D OAM OPM OSS PLAN POS PR REG RESP RTDOSE RTINTENT
RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SMR SR SRF STAIN TEXTUREMAP VA
"""
NO_IMAGES = frozenset(WORDS.split())
# One slice an object, so that a series of them is a volume: CT, MR, PET, and RT images of CT.
SLICES = frozenset(
    {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128"},
)
SLICED = frozenset({"CT", "MR", "PT"})
# Modalities of one kind of picture: what is made for one of them is made for all.
ALIKE = (frozenset({"CR", "DX", "RG"}), frozenset({"XC", "OP"}))
# Modalities that do not say what a picture is.
VAGUE = frozenset({"", "UNKNOWN", "OT"})


@dataclass(frozen=True)
class Choice:
    """Series that are images, and how many are not.

    Attributes:
        images: In their order.
        left_out: What else there is, such as "SEG" → 3.
        others: Images of other modalities than were wanted, such as "CT" → 1.
    """

    images: tuple[Series, ...]
    left_out: Counter[str]
    others: Counter[str] = field(default_factory=Counter)

    def describe_left_out(self) -> str:
        """Such as "3 SEG, 1 SR"; "" if nothing was left out."""
        return _counted(self.left_out)

    def describe_others(self) -> str:
        """Such as "1 CT"; "" if there were none."""
        return _counted(self.others)


def alike(modality: str) -> frozenset[str]:
    """The modalities of pictures like those of one: CR and DX are both films. Empty for one that says nothing."""
    if modality.upper() in VAGUE:
        return frozenset()
    return next((kind for kind in ALIKE if modality.upper() in kind), frozenset({modality.upper()}))


def choose(series: Iterable[Series], modalities: frozenset[str] = frozenset()) -> Choice:
    """Part series that hold images from those that hold masks, reports and the like.

    A series without a modality may hold anything: it is taken, and reading it says what it is.

    Args:
        series: What a query found.
        modalities: Of the images that are wanted; none for all.
    """
    images: list[Series] = []
    left_out: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for one in series:
        if one.modality in NO_IMAGES:
            left_out[one.modality] += 1
        elif one.manufacturer == MANUFACTURER:
            left_out["results of Planar"] += 1
        elif modalities and one.modality and one.modality not in modalities:
            others[one.modality] += 1
        else:
            images.append(one)
    return Choice(tuple(images), left_out, others)


def are_slices(series: Series, instances: Iterable[Instance]) -> bool:
    """Whether the instances of a series are slices of volumes, which can only be looked at together.

    Where the archive does not say what they are, they are taken for slices: reading them tells.
    """
    classes = {one.sop_class for one in instances}
    if classes - {""}:
        return not SLICES.isdisjoint(classes)
    return not series.modality or series.modality in SLICED


def _counted(what: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(what.items()))
