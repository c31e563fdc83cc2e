"""One small picture a source: the film, or slices of the volume, with outlines and the names of the classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.atomic import written_aside

if TYPE_CHECKING:
    from pipeline.tasks.infer.shown import Shown

__all__ = ["save_preview"]

# Longest side of a film, and of a slice among others, pixels.
FILM = 1024
TILE = 288
COLUMNS = 4
TILES = 12


def save_preview(shown: Shown, path: Path) -> None:
    """Write a PNG."""
    from PIL import Image

    from pipeline.overlays import with_caption

    numbers = _chosen(shown)
    tiles = [_tile(shown, number, FILM if shown.depth == 1 else TILE) for number in numbers]
    picture = with_caption(_montage(tiles), shown.classes, shown.title)
    with written_aside(path) as aside:
        Image.fromarray(np.ascontiguousarray(picture.swapaxes(0, 1))).save(aside, format="PNG")


def _chosen(shown: Shown) -> list[int]:
    """Slices at even steps among those that have a mask, or among all if none has."""
    if shown.depth == 1:
        return [0]
    filled = np.flatnonzero(shown.mask.any(axis=(0, 1)))
    among = filled if filled.size else np.arange(shown.depth)
    steps = np.linspace(0, len(among) - 1, min(TILES, len(among)))
    return [int(among[k]) for k in np.unique(steps.round().astype(int))]


def _tile(shown: Shown, number: int, longest: int) -> npt.NDArray[np.uint8]:
    """One slice in its true proportions; outlines are drawn after resizing, so that they stay lines."""
    from PIL import Image

    from pipeline.overlays import draw_overlay

    grey, mask = shown.grey(number), shown.mask_of(number).astype(np.uint8)
    x_mm, y_mm = shown.picture.spacing_mm or (1.0, 1.0)
    size_mm = np.array([grey.shape[0] * x_mm, grey.shape[1] * y_mm])
    width, height = np.maximum(1, (size_mm * (longest / size_mm.max())).round()).astype(int).tolist()

    def resized(array: npt.NDArray[Any], how: Image.Resampling) -> npt.NDArray[np.uint8]:
        picture = Image.fromarray(np.ascontiguousarray(array.swapaxes(0, 1)))
        return np.asarray(picture.resize((width, height), how)).swapaxes(0, 1)

    small = resized(grey, Image.Resampling.BILINEAR)
    return draw_overlay(small, resized(mask, Image.Resampling.NEAREST), colours=shown.colours)


def _montage(tiles: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Tiles of one size in rows of four, (W, H, 3)."""
    width, height = tiles[0].shape[:2]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    canvas = np.zeros((columns * width, rows * height, 3), np.uint8)
    for place, tile in enumerate(tiles):
        x, y = place % columns * width, place // columns * height
        canvas[x : x + width, y : y + height] = tile
    return canvas
