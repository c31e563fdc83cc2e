"""Small sets of pictures with masks."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("PLANAR_SUBJECT_KEY", "a key for tests only")


class SmallSet:
    """A folder of pictures and masks that is made by calls."""

    def __init__(self, root):
        self.root = root
        self.images, self.masks, self.output = root / "images", root / "masks", root / "datalist.json"

    def image(self, name, seed=None, size=(24, 20)):
        """A picture of smooth noise; the same seed gives the same pixels."""
        seed = sum(map(ord, name)) if seed is None else seed
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 5)).astype(np.uint8)
        path = self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
        return path

    def mask(self, name, value=255, box=(5, 5, 15, 15), size=(24, 20), folder="masks", background=0):
        """A box on a background; several boxes by calling it with lists."""
        colour = isinstance(value, tuple) and isinstance(value[0], int)
        mask = Image.new("RGB" if colour else "L", size, background)
        mask.paste(value, box)
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask.save(path)
        return path

    def cases(self, number, start=0, **mask):
        """Pictures c00.png, c01.png, … with their masks."""
        for k in range(start, start + number):
            self.image(f"c{k:02d}.png", seed=k)
            self.mask(f"c{k:02d}.png", **mask)
        return self


@pytest.fixture
def small_set(tmp_path):
    return SmallSet(tmp_path)
