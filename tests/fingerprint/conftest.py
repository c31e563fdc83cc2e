"""Small pictures whose measures can be told beforehand."""

import numpy as np
import pytest
from scipy import ndimage

from pipeline.fingerprint import measure_case


@pytest.fixture
def textured():
    """A function that gives a picture of blobs, another one for each number; (W, H), uint8."""

    def make(number, shape=(180, 150)):
        random = np.random.default_rng(number)
        fine, coarse = (ndimage.gaussian_filter(random.normal(size=shape), width) for width in (2, 9))
        picture = fine / fine.std() + 2 * coarse / coarse.std()
        return np.clip(128 + 28 * picture, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def discs():
    """A function that gives a case with one disc of a class on a picture of noise."""

    def make(number, radius=12, classes=2, shape=(64, 48), centre=(30, 24), level=60):
        random = np.random.default_rng(number)
        x, y = np.meshgrid(*map(np.arange, shape), indexing="ij")
        mask = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2).astype(np.uint8)
        image = (random.normal(level, 5, shape) + 80 * mask).clip(0, 255).astype(np.uint8)
        return measure_case(image, mask, classes, container="PNG")

    return make
