"""Masks as DICOM objects, for the archive that the images came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.bundle import Bundle
from pipeline.dicom_seg import Algorithm, Term, algorithm_of, terms_of, uid_from_inputs
from pipeline.errors import MissingExtra

if TYPE_CHECKING:
    from pipeline.dicom_seg import SourceImages
    from pipeline.tasks.infer.segmented import Segmented
    from pipeline.tasks.infer.sources import Source

__all__ = ["Model", "images_of", "model_of", "require_highdicom", "write_captures", "write_segmentation"]


@dataclass(frozen=True)
class Model:
    """What made the masks, and what its classes are called.

    Attributes:
        algorithm: Name, version and weights.
        terms: Class index → codes and colour.
        job: Digest of all that a result depends on beside its images, by which DICOM results are then called; "" for
            results that are called by what they hold.
    """

    algorithm: Algorithm
    terms: Mapping[int, Term]
    job: str = ""

    def instance_of(self, kind: str, images: Sequence[tuple[str, int]]) -> str | None:
        """SOPInstanceUID of a result of images and frames; None if what it holds makes it."""
        return uid_from_inputs(kind, self.job, images) if self.job else None

    @property
    def unknown(self) -> list[str]:
        """Classes that no table of codes knows."""
        return [term.label for term in self.terms.values() if not term.known]


def model_of(bundle: Bundle, weights: Sequence[Path], labels: Mapping[int, str]) -> Model:
    """The model of a bundle with these weights.

    Raises: InvalidBundle: if the bundle's own table of codes cannot be read.
    """
    return Model(algorithm_of(bundle, weights), terms_of(bundle, labels))


def require_highdicom() -> None:
    """Raise MissingExtra unless DICOM objects can be written."""
    if find_spec("highdicom") is None:
        raise MissingExtra(
            "DICOM masks are written with highdicom, which is not installed. pip install highdicom, or leave out "
            "--format dicomseg and sc."
        )


def images_of(source: Source) -> SourceImages:
    """The DICOM images of a source.

    Raises: UnsupportedImage, UnreadableImage: if there are none that a mask could refer to.
    """
    from pipeline.dicom_seg import source_images

    return source_images(source.series if source.series is not None else str(source.path))


def write_segmentation(result: Segmented, images: SourceImages, model: Model, seg_type: str, path: Path) -> None:
    """Write `<name>_seg.dcm`."""
    from pipeline.dicom_seg import write_seg

    array = result.probabilities if seg_type == "fractional" else result.mask
    if array is None:
        raise ValueError("the probabilities were not kept")
    instance = model.instance_of(f"seg {seg_type}", [_image(images, number) for number in range(len(images.frames))])
    write_seg(path, images, array, model.terms, model.algorithm, kind=seg_type, instance=instance)


def write_captures(result: Segmented, images: SourceImages, model: Model, path: Path) -> None:
    """Write `<name>_sc.dcm`, or a folder with a file for each slice if the path does not end so."""
    from pipeline.dicom_seg import write_secondary_capture

    for number in range(result.picture.depth):
        file = path if path.suffix == ".dcm" else path / f"{result.slice_name(number)}.dcm"
        picture = result.shown(model).drawn(number)
        instance = model.instance_of("sc", [_image(images, number)])
        write_secondary_capture(file, images, number, picture, model.algorithm, instance=instance)


def _image(images: SourceImages, number: int) -> tuple[str, int]:
    header, frame = images.frames[number]
    return str(images.headers[header].SOPInstanceUID), frame
