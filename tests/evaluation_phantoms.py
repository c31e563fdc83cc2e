"""Evaluation folders as `planar evaluate` leaves them, of films drawn here and predictions wrong in known ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.datalist import pixel_digest
from pipeline.metrics import Tally, write_evaluation
from pipeline.readers import read_picture

LABELS = ("background", "lung", "heart")
SIZE = (72, 60)

Wrong = Callable[[int, np.ndarray], np.ndarray]


def films(
    folder: Path, number: int = 12, *, labels: Sequence[str] = LABELS, name: str = "phantoms", seed: int = 3
) -> Path:
    """Grey films with an ellipse for each class, their masks, and a datalist with all of them in "test".

    Two films are one subject's.
    """
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]), indexing="ij")
    items = []
    for k in range(number):
        mask = np.zeros(SIZE, np.uint8)
        for index in range(1, len(labels)):
            at = (SIZE[0] * index / len(labels) + rng.uniform(-3, 3), SIZE[1] / 2 + rng.uniform(-4, 4))
            mask[((x - at[0]) / 9) ** 2 + ((y - at[1]) / 14) ** 2 < 1] = index
        image = (60 + 50 * mask + rng.normal(0, 12, SIZE)).clip(0, 255).astype(np.uint8)
        for kind, array in (("images", image), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(array.T)).save(folder / kind / f"film{k:03d}.png")
        items.append(
            {
                "image": f"images/film{k:03d}.png",
                "label": f"masks/film{k:03d}.png",
                "subject": sha256(b"%d" % (k // 2)).hexdigest()[:16],
                "label_coding": "index",
                "image_sha256": pixel_digest(image),
                "label_sha256": pixel_digest(mask),
                "shape": list(SIZE),
                "spacing_mm": None,
            }
        )
    document = {
        "name": name,
        "format": "planar-datalist/1",
        "modality": {"0": "CR"},
        "labels": {str(k): label for k, label in enumerate(labels)},
        "split": {"subjects_from": "column index.csv:patient"},
        "training": [],
        "validation": [],
        "test": items,
        "refused": [
            {"file": "images/odd.png", "code": "size_mismatch", "reason": "/home/ward/odd.png is 5×5, its mask 6×6."}
        ],
        "warnings": [],
    }
    (folder / "datalist.json").write_text(json.dumps(document))
    return folder / "datalist.json"


def indexed_again(datalist: Path) -> Path:
    """The datalist with the digests of its pictures as they are."""
    document = json.loads(datalist.read_text())
    for item in document["test"]:
        for key in ("image", "label"):
            picture = read_picture(datalist.parent / item[key], labels=key == "label")
            item[f"{key}_sha256"] = pixel_digest(picture.array)
    datalist.write_text(json.dumps(document))
    return datalist


def shifted(mask: np.ndarray, by: int) -> np.ndarray:
    """The mask moved along x: a prediction that is off by a known number of pixels."""
    moved = np.zeros_like(mask)
    moved[by:] = mask[: mask.shape[0] - by] if by else mask
    return moved


def shift_by_number(number: int, mask: np.ndarray) -> np.ndarray:
    """The first film right, each further one off by a pixel more, up to five."""
    return shifted(mask, number % 6)


def evaluated(
    folder: Path,
    datalist: Path,
    wrong: Wrong = shift_by_number,
    *,
    spacing_mm: Callable[[int], Sequence[float] | None] = lambda number: None,
    only: int | None = None,
    masks: bool = True,
    probabilities: bool = True,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """The evaluation of predictions that `wrong` makes of the number of a film and its reference."""
    document = json.loads(datalist.read_text())
    labels = {int(index): name for index, name in document["labels"].items()}
    tally = Tally(labels)
    aside = folder.parent / f"{folder.name}-masks"
    aside.mkdir(parents=True)
    for number, item in enumerate(document["test"][:only]):
        with Image.open(datalist.parent / item["label"]) as picture:
            reference = np.asarray(picture).T
        prediction = wrong(number, reference)
        name = f"{Path(item['image']).stem}.png"
        Image.fromarray(np.ascontiguousarray(prediction.T)).save(aside / name)
        sure = 0.1 / (len(labels) - 1) + (0.9 - 0.1 / (len(labels) - 1)) * np.eye(len(labels))[prediction]
        tally.add(
            item["image"],
            prediction,
            reference,
            subject=item["subject"],
            image_sha256=item["image_sha256"],
            spacing_mm=spacing_mm(number),
            probabilities=np.moveaxis(sure, -1, 0) if probabilities else None,
            mask=f"masks/{name}" if masks else "",
        )
    facts = {
        "bundle": "phantom_segmentation",
        "checkpoint_sha256": "ab" * 32,
        "data": document["name"],
        "split": "test",
        "trained_on": "other phantoms (40 training cases)",
        **(about or {}),
    }
    write_evaluation(folder, tally, facts, masks=aside if masks else None, resamples=200)
    return folder
