"""A stack that was joined to other pictures is still told as one."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pipeline.fingerprint import order_of, thumbnail
from pipeline.tasks.inspect.run import Album, _compare


def pictures(seed: int, depth: int, along: float) -> list[np.ndarray]:
    volume = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(depth, 120, 120)), (along, 3, 3))
    return [thumbnail(part) for part in volume.astype(np.float32)]


def test_neighbours_across_the_split_are_named_within_the_folder_that_is_a_stack() -> None:
    films, slices = pictures(1, 40, 0), pictures(3, 14, 1.5)
    names = [f"films/{k:03d}.png" for k in range(40)] + [f"slices/{k:03d}.png" for k in range(14)]
    parts = ["training", "test"] * 20 + ["training"] * 6 + ["test"] * 8
    album = Album(names)
    for place, small in enumerate([*films, *slices]):
        album.add(place, small)
    found = _compare(album, parts, lambda *_: None)
    assert found["order"] is not None and not found["order"].stacked, "taken together they are none"
    assert [(pair["a"], pair["b"], pair["kind"]) for pair in found["near_duplicates"]] == [
        ("slices/005.png", "slices/006.png", "neighbour")
    ]
    alone = order_of(np.stack(films), np.arange(40) % 2)
    assert alone is not None and not alone.stacked
