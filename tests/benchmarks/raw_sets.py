"""Small sets of every kind that the conversion meets, with their datalists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PARTS = ("training", "validation", "test")


def write_datalist(
    folder: Path,
    images: Sequence[str],
    labels: Sequence[Any],
    *,
    coding: str = "index",
    classes: Sequence[str] = ("background", "disc"),
    modality: str = "unknown",
) -> Path:
    """A datalist of as many cases as images, the last but one for validation and the last for the test."""
    items = [
        {"image": image, "label": label, "label_coding": coding, "subject": f"s{k}"}
        for k, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    parts: Mapping[str, Any] = {"training": items[:-2], "validation": items[-2:-1], "test": items[-1:]}
    path = folder / "datalist.json"
    named = {str(k): name for k, name in enumerate(classes)}
    path.write_text(json.dumps({"name": "a set", "modality": {"0": modality}, "labels": named, **parts}))
    return path


def disc(width: int, height: int, shift: int = 0) -> np.ndarray:
    """A mask (rows, columns) of 0 and 1 that no flip or transposition maps to itself."""
    rows, columns = np.mgrid[:height, :width]
    return (((columns - width // 3 - shift) ** 2 + 2 * (rows - height // 2) ** 2) < (height // 3) ** 2).astype(np.uint8)


def texture(width: int, height: int, seed: int) -> np.ndarray:
    """A picture (rows, columns) of 0 to 255, float."""
    return np.random.default_rng(seed).uniform(0, 255, (height, width))
