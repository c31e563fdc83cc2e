"""What was annotated, as a datalist to train on: masks copied, numbered as the bundle's classes, split by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.datalist import Datalist, Finding, pixel_digest, relative_to, write_datalist
from pipeline.errors import InvalidDatalist, InvalidSplit, PlanarError
from pipeline.label_app.incoming import read_label, renumbered
from pipeline.label_app.label_files import FINAL
from pipeline.label_app.subjects import Subjects, subjects_of
from pipeline.readers import write_mask
from pipeline.split import unit_hash
from pipeline.tasks.index.subjects import subject_key, subject_pseudonym

if TYPE_CHECKING:
    from pipeline.label_app.images import LabelledImages

__all__ = ["Annotated", "gather", "is_for_validation"]

# Fewer cannot be divided into one to train on and one to choose by.
FEWEST_SUBJECTS = 2


@dataclass(frozen=True)
class Annotated:
    """A datalist of what was annotated.

    Attributes:
        path: Of the datalist.
        content: What it holds.
        annotators: Pseudonym of each annotator → digests of the labels that they drew.
    """

    path: Path
    content: Datalist
    annotators: dict[str, list[str]]


def gather(
    images: LabelledImages, labels: dict[int, str], folder: Path, *, share: float, subjects: str | None = None
) -> Annotated:
    """Write `datalist.json` and copies of its masks, so that later drawing does not change what was trained on.

    Args:
        images: With final labels.
        labels: Class index → name of the bundle.
        folder: For both; new.
        share: Of the subjects that are for validation.
        subjects: `FILE.csv:COLUMN`, as `planar index --subjects` has it; by default `index.csv` beside the images if it
            has a column that says whose they are (`subjects_of`), else the DICOM PatientID, else each image is a
            subject of its own.

    Raises:
        InvalidDatalist: if no label can be used.
        InvalidSplit: if there are not enough subjects.
        InvalidOption, MissingFile: for a table that cannot be used.
    """
    labelled = images.get_labeled_images()
    whose = subjects_of(images, labelled, subjects)
    key = subject_key()[0]
    items: dict[str, list[dict[str, Any]]] = {}
    annotators: dict[str, list[str]] = {}
    refused = []
    for image in labelled:
        label = images.labels.of(image, FINAL)
        if label is None:
            continue
        try:
            found, subject = _items(images, image, labels, folder, whose)
        except PlanarError as error:
            refused.append(Finding(image, "label_unusable", str(error)))
            continue
        items.setdefault(subject_pseudonym(subject, key), []).extend(found)
        who = subject_pseudonym(label.annotator, key) if label.annotator else "unknown"
        annotators.setdefault(who, []).append(label.sha256)
    if refused and not items:
        raise InvalidDatalist(f"None of {len(refused)} labels can be used. The first: {refused[0].reason}")
    chosen = is_for_validation(list(items), share)
    content = Datalist(
        name="annotated",
        labels=[labels[index] for index in sorted(labels)],
        split={
            "by": "hash of the subject",
            "validation": share,
            "subjects": len(items),
            "subjects_from": whose.told_by,
        },
        training=_numbered(items, [name for name in items if name not in chosen]),
        validation=_numbered(items, [name for name in items if name in chosen]),
        refused=refused,
    )
    path = folder / "datalist.json"
    write_datalist(content, path)
    return Annotated(path, content, annotators)


def is_for_validation(subjects: Sequence[str], share: float) -> set[str]:
    """Which subjects are for validation: the same ones in each training, whoever comes.

    A subject is chosen by the hash of its name alone. Where the hash chooses none, it is the subject that comes
    nearest; where it chooses all, the one that comes last is trained on.

    Raises: InvalidSplit: if there are fewer than two.
    """
    if len(subjects) < FEWEST_SUBJECTS:
        raise InvalidSplit(
            f"{len(subjects)} subject{'s' * (len(subjects) != 1)} with labels cannot be divided into training and "
            "validation. Label images of at least two patients."
        )
    turn = {name: unit_hash(f"validation:{name}") for name in subjects}
    ordered = sorted(subjects, key=lambda name: (turn[name], name))
    chosen = [name for name in ordered if turn[name] < share] or ordered[:1]
    return set(chosen if len(chosen) < len(ordered) else chosen[:-1])


def _items(
    images: LabelledImages, image: str, labels: dict[int, str], folder: Path, whose: Subjects
) -> tuple[list[dict[str, Any]], str]:
    """The items of an image, one a slice, and its subject."""
    source, label = images.source(image), images.labels.of(image, FINAL)
    picture = source.picture()
    mask = read_label(images.labels.path(label), picture, image) if label is not None else None
    if label is None or mask is None:
        return [], image
    mask = renumbered(mask, label.names, labels, image)
    subject = whose.of(image, picture)
    items = []
    for number, name in enumerate(source.slices):
        flat = picture.depth == 1
        one, drawn = (picture, mask) if flat else (picture.cut(number, name), mask[..., number])
        file = folder / "masks" / f"{image}.png" if flat else folder / "masks" / image / f"{number:04d}.png"
        write_mask(drawn, one, file)
        items.append(
            {
                "image": relative_to(folder, name),
                "label": relative_to(folder, str(file)),
                "label_coding": "index",
                "image_sha256": pixel_digest(one.array),
                "label_sha256": pixel_digest(drawn),
                "shape": list(drawn.shape),
            }
        )
    return items, subject


def _numbered(items: dict[str, list[dict[str, Any]]], names: Sequence[str]) -> list[dict[str, Any]]:
    return [{**item, "subject": name} for name in names for item in items[name]]
