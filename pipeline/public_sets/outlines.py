"""Masks from outlines that experts drew, stored as text: one point a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipeline.atomic import written_aside
from pipeline.errors import DownloadFailed

__all__ = ["masks_of_outlines"]


def masks_of_outlines(pictures: list[Path], outlines: dict[str, Path], out: Path) -> int:
    """Draw a mask for each picture that has an outline.

    Args:
        pictures: Picture files.
        outlines: Text file by the picture's name without suffix: "x, y" a line, pixels from the upper left.
        out: Folder of the masks, which are PNG files of 0 and 255 and have the pictures' names.
    Returns: Number of masks.
    Raises: DownloadFailed: if a text file holds no outline, or one that is not in the picture.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = 0
    for picture in pictures:
        outline = outlines.get(picture.stem)
        if outline is None:
            continue
        with Image.open(picture) as opened:
            size = opened.size
        points = read_outline(outline, size)
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in points], fill=255, outline=255)
        with written_aside(out / f"{picture.stem}.png") as aside:
            mask.save(aside, format="PNG")
        made += 1
    return made


def read_outline(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Points of an outline, shape (n, 2), pixels.

    Args:
        path: Text file of "x, y" a line.
        size: Width and height of the picture.
    """
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    try:
        points = np.array([[float(part) for part in line.replace(",", " ").split()] for line in lines])
    except ValueError:
        points = np.empty((0, 0))
    inside = points.ndim == 2 and points.shape[1:] == (2,) and len(points) >= 3
    if not inside or points.min() < 0 or (points.max(axis=0) > size).any():
        raise DownloadFailed(
            f"{path}: holds no outline in a picture of {size[0]}×{size[1]} pixels; expected 'x, y' a line, three "
            "points or more. Get the set again."
        )
    return points
