from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter


@pytest.fixture
def batch() -> Callable[..., dict[str, torch.Tensor]]:
    """Smooth pictures with values from 0 to 1 and masks of two lungs; no two alike, neither square nor symmetric."""

    def make(count: int = 3, width: int = 48, height: int = 40, channels: int = 1) -> dict[str, torch.Tensor]:
        numbers = np.random.default_rng(7)
        images = gaussian_filter(numbers.normal(size=(count, channels, width, height)), (0, 0, 2, 2))
        images = (images - images.min()) / (images.max() - images.min())
        x, y = np.meshgrid(np.arange(width), np.arange(height), indexing="ij")
        masks = np.zeros((count, 1, width, height), np.float32)
        for number in range(count):
            for centre in (0.3, 0.7):
                inside = ((x - centre * width) / (5 + number)) ** 2 + ((y - 0.45 * height) / 11) ** 2 < 1
                masks[number, 0][inside] = 1
        images = np.where(masks > 0, 0.4 * images, 0.3 + 0.7 * images)
        return {"image": torch.from_numpy(images.astype(np.float32)), "label": torch.from_numpy(masks)}

    return make
