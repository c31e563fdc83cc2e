"""Cases as pictures of a page: image, reference, prediction and how they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.datalist import files_gone, load_cases, pixel_digest, read_datalist
from pipeline.errors import GeometryMismatch, InvalidDatalist, InvalidEvaluation
from pipeline.labels import LabelCoding
from pipeline.overlays import PREDICTION, REFERENCE, colour_of, draw_agreement, draw_filled, to_grey
from pipeline.readers import Picture, read_picture
from pipeline.readers.masks import stacked
from pipeline.report.evaluation import EvaluationView
from pipeline.report.page import picture_uri

__all__ = ["CasePicture", "CaseSource", "class_colours", "light_uri", "panels", "read_case", "with_box"]

# Longest side of a picture of the page, pixels.
LONGEST = 440
PLAIN = 300  # without outlines less will do
HEAVIEST = 80_000  # characters of the largest picture; films have a quarter of it
# A pixel becomes at most a square of so many: more is no sharper, only heavier.
LARGEST_PIXEL = 4.0
# What a cross-validation has scored is no part of a datalist of its own.
OUT_OF_FOLD = {"out of fold": ("training", "validation")}
# Tables of cases have six digits.
ROUNDED = 2e-6
# Something smaller than this share of the picture is shown cut out.
DETAIL = 0.45


@dataclass(frozen=True)
class CaseSource:
    """Where the pictures of an evaluation's cases are.

    Attributes:
        items: The datalist's items by image as the evaluation calls it, with absolute paths.
    """

    items: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, evaluation: EvaluationView, datalist: Path) -> CaseSource:
        """The cases of an evaluation in the datalist that it was made with; some of their files may be gone.

        Raises:
            MissingFile, InvalidDatalist: if the datalist cannot be used, or not one of the cases has its files.
            InvalidEvaluation: if the evaluation is of other pictures.
        """
        split = evaluation.split or "test"
        content = read_datalist(datalist)
        first, *others = OUT_OF_FOLD.get(split, (split,))
        by_name: dict[str, Mapping[str, Any]] = {}
        for part in (first, *(other for other in others if content.part(other))):
            names = (str(item["image"]) for item in content.part(part))
            by_name |= zip(names, load_cases(datalist, part, all_there=False), strict=True)
        by_name = _renamed(by_name, evaluation)
        missing = [name for name in evaluation.images["image"] if name not in by_name]
        if missing:
            own = f": {evaluation.folder / 'datalist.json'}" if split in OUT_OF_FOLD else ""
            raise InvalidEvaluation(
                f"{evaluation.folder}: scores {len(missing)} image{'s' * (len(missing) > 1)} that {datalist} does not "
                f"have in '{split}', first {missing[0]}. Give the datalist that was evaluated{own}."
            )
        if "image_sha256" in evaluation.cases:
            for name, digest in zip(evaluation.cases["image"], evaluation.cases["image_sha256"], strict=True):
                if digest and digest != by_name[name].get("image_sha256", digest):
                    raise InvalidEvaluation(
                        f"{datalist}: {name} has other pixels than when {evaluation.folder} was made. Evaluate again, "
                        "or give the datalist of then."
                    )
        gone = [files_gone(by_name[name]) for name in evaluation.images["image"]]
        if all(gone):
            raise InvalidDatalist(
                f"{datalist}: none of the {len(gone)} images that were scored can be shown, for of each a file is not "
                f"there, first {gone[0][0]}. Its paths are relative to its own folder: move it together with the "
                "images, or leave out --data."
            )
        return cls(by_name)


def _renamed(by_name: Mapping[str, Mapping[str, Any]], evaluation: EvaluationView) -> dict[str, Mapping[str, Any]]:
    """The items, also by the evaluation's names of the pictures that the datalist calls otherwise.

    Names are relative to a datalist's folder: those of one in another folder are other ones, as are those of a
    cross-validation's own. The pixels' digest tells a picture, unless two have the same.
    """
    if "image_sha256" not in evaluation.cases:
        return {**by_name}
    digests = Counter(item.get("image_sha256") for item in by_name.values())
    of_pixels = {item.get("image_sha256"): item for item in by_name.values() if digests[item.get("image_sha256")] == 1}
    images = zip(evaluation.cases["image"], evaluation.cases["image_sha256"], strict=True)
    others = {
        name: of_pixels[digest] for name, digest in images if digest and name not in by_name and digest in of_pixels
    }
    return {**by_name, **others}


@dataclass(frozen=True, eq=False)
class CasePicture:
    """A case at the size of the page.

    Attributes:
        image: uint8, (W, H) or (W, H, 3).
        reference, predictions: Class indices, (W, H), of the detail.
        detail: What is shown of the image with the masks: all of it, or the part where they are, (W, H) or (W, H, 3).
        box: That part in `image`, as (left, top, right, bottom), or None for all of it.
    """

    image: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    predictions: tuple[NDArray[np.uint8], ...]
    detail: NDArray[np.uint8]
    box: tuple[int, int, int, int] | None


def class_colours(classes: Sequence[str], one: tuple[int, int, int]) -> dict[int, tuple[int, int, int]]:
    """The colours of filled masks: `one` where there is but one class, else each class its own."""
    return {1: one} if len(classes) == 1 else {index: colour_of(index) for index in range(1, len(classes) + 1)}


def read_case(
    item: Mapping[str, Any],
    predictions: Sequence[Path],
    longest: int = LONGEST,
    *,
    scored: Sequence[Sequence[float]] = (),
) -> CasePicture:
    """Read a case and bring it to the size of the page.

    Args:
        item: The datalist's item, with absolute paths.
        predictions: Mask files with class indices, on the image's grid.
        longest: Longest side, pixels.
        scored: For each prediction the Dice of each class as it was scored, NaN where there was none; empty: not known.

    Raises:
        MissingFile, UnreadableImage, UnsupportedImage, UnknownLabel: as reading does.
        InvalidEvaluation: if image or reference mask have other pixels than the datalist has the digests of, or the
            masks another Dice than was scored.
        GeometryMismatch: if a mask is on another grid than the image.
    """
    picture = read_picture(item["image"], voi=True)
    # Digests are of values as they are stored, and only DICOM has a window that is not.
    stored = read_picture(item["image"]) if picture.source_format == "DICOM" else picture
    _require_recorded("image", item, [stored])
    files = item["label"] if isinstance(item["label"], list) else [item["label"]]
    drawn = [read_picture(file, labels=True) for file in files]
    _require_recorded("label", item, drawn)
    image = to_grey(picture.array)
    reference = LabelCoding.parse(str(item.get("label_coding", "index"))).decode(stacked(drawn))
    masks = [reference, *(read_picture(path, labels=True).array for path in predictions)]
    for name, mask in zip((item["label"], *predictions), masks, strict=True):
        if mask.shape != image.shape[:2]:
            raise GeometryMismatch(
                f"{name}: is {mask.shape[0]}×{mask.shape[1]}, its image {image.shape[0]}×{image.shape[1]}; expected "
                "one grid. Evaluate again."
            )
    for path, prediction, dice in zip(predictions, masks[1:], scored, strict=False):
        _require_scored(path, prediction, reference, dice)
    box = _detail(masks)
    whole = _resized(image, longest, Image.Resampling.LANCZOS)
    if box is None:
        parts, detail, scaled = masks, whole, None
    else:
        left, top, right, bottom = box
        parts = [mask[left:right, top:bottom] for mask in masks]
        detail = _resized(image[left:right, top:bottom], longest, Image.Resampling.LANCZOS)
        by = whole.shape[0] / image.shape[0]
        scaled = (round(left * by), round(top * by), round(right * by), round(bottom * by))
    shown, *predicted = (_resized(mask.astype(np.uint8), longest, Image.Resampling.NEAREST) for mask in parts)
    return CasePicture(whole, shown, tuple(predicted), detail, scaled)


def _require_recorded(key: str, item: Mapping[str, Any], pictures: Sequence[Picture]) -> None:
    """Raise InvalidEvaluation where pictures are not those that were scored; other tools' datalists have no digests."""
    recorded = item.get(f"{key}_sha256")
    if recorded and recorded != pixel_digest(*(picture.array for picture in pictures)):
        what = {"image": "image", "label": "reference mask"}[key]
        raise InvalidEvaluation(
            f"{pictures[0].path}: the {what} was replaced: its pixels are not those that were indexed. Put back the "
            f"{what} of then, or index and evaluate again."
        )


def _require_scored(path: Path, prediction: NDArray[Any], reference: NDArray[Any], scored: Sequence[float]) -> None:
    """Raise InvalidEvaluation where masks are not those that were scored, though a datalist may have their digests."""
    for index, recorded in enumerate(scored, start=1):
        found, wanted = prediction == index, reference == index
        size = int(np.count_nonzero(found)) + int(np.count_nonzero(wanted))
        dice = 2 * int(np.count_nonzero(found & wanted)) / size if size else np.nan
        if not np.isclose(dice, recorded, rtol=0, atol=ROUNDED, equal_nan=True):
            raise InvalidEvaluation(
                f"{path}: reference and predicted mask are not those that were scored: their Dice is {dice:.3f}, the "
                f"recorded one {recorded:.3f}. One of them was replaced: evaluate again."
            )


def panels(case: CasePicture, classes: Sequence[str]) -> list[str]:
    """Image, reference, prediction, agreement, and the last one once more in small, as data URIs."""
    drawn = [
        with_box(case.image, case.box),
        draw_filled(case.detail, case.reference, class_colours(classes, REFERENCE)),
        draw_filled(case.detail, case.predictions[0], class_colours(classes, PREDICTION)),
        draw_agreement(case.detail, case.predictions[0], case.reference),
    ]
    small = [light_uri(picture, PLAIN) for picture in drawn]
    return [*small[:-1], light_uri(drawn[-1], LONGEST), small[-1]]


def light_uri(picture: NDArray[np.uint8], longest: int) -> str:
    """A picture as a data URI that is not heavy; one of noise becomes smaller than the others."""
    heaviest = HEAVIEST * longest / LONGEST
    uri = picture_uri(picture, longest=longest)
    while len(uri) > heaviest:
        longest = round(0.8 * longest)
        uri = picture_uri(picture, longest=longest)
    return uri


def _detail(masks: Sequence[NDArray[Any]]) -> tuple[int, int, int, int] | None:
    """The square around all masks with a margin, if it is a small part of the picture."""
    union = np.any([mask > 0 for mask in masks], axis=0)
    if not union.any():
        return None
    ends = [np.flatnonzero(union.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    side = 1.5 * max(int(high - low) + 1 for low, high in ends)
    if side > DETAIL * max(union.shape):
        return None
    side = int(np.clip(max(side, 24), 1, min(union.shape)))
    starts = [
        int(np.clip(round((low + high + 1 - side) / 2), 0, size - side))
        for (low, high), size in zip(ends, union.shape, strict=True)
    ]
    return starts[0], starts[1], starts[0] + side, starts[1] + side


def _resized(array: NDArray[np.uint8], longest: int, how: Image.Resampling) -> NDArray[np.uint8]:
    """The picture with its longest side at most `longest`; a small one is enlarged, so that its pixels can be seen."""
    scale = min(longest / max(array.shape[:2]), LARGEST_PIXEL)
    size = tuple(max(1, round(side * scale)) for side in array.shape[:2])
    picture = Image.fromarray(np.ascontiguousarray(array.swapaxes(0, 1)))
    if how == Image.Resampling.LANCZOS and scale > 2:
        how = Image.Resampling.NEAREST
    return np.asarray(picture.resize((size[0], size[1]), how, reducing_gap=3.0)).swapaxes(0, 1)


def with_box(image: NDArray[np.uint8], box: tuple[int, int, int, int] | None) -> NDArray[np.uint8]:
    """The image with a white frame around the part that is shown beside it."""
    if box is None:
        return image
    framed = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()
    left, top, right, bottom = (
        int(np.clip(edge, 0, size - 1)) for edge, size in zip(box, framed.shape[:2] * 2, strict=True)
    )
    framed[left : right + 1, [top, bottom]] = 255
    framed[[left, right], top : bottom + 1] = 255
    return framed
