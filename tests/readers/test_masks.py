"""Masks of one case in several files, as training, pages and benchmarks all read them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import GeometryMismatch, UnsupportedImage
from pipeline.readers import read_mask


def saved(path: Path, mask: np.ndarray) -> str:
    Image.fromarray(mask).save(path)
    return str(path)


def test_grey_masks_stored_as_colour_make_one_class_each(tmp_path: Path) -> None:
    left, right = np.zeros((2, 9, 12), np.uint8)
    left[2:5, 1:4] = right[4:8, 6:11] = 255
    files = [saved(tmp_path / f"{k}.png", np.stack([one] * 3, axis=-1)) for k, one in enumerate((left, right))]
    expected = np.where(right.T, 2, np.where(left.T, 1, 0))
    np.testing.assert_array_equal(read_mask(files, "threshold:127@1,2", 3), expected)
    np.testing.assert_array_equal(read_mask(files[0], "threshold:127"), left.T > 0)


def test_several_masks_have_one_size_and_no_colour(tmp_path: Path) -> None:
    one = saved(tmp_path / "one.png", np.zeros((9, 12), np.uint8))
    with pytest.raises(GeometryMismatch, match=r"large\.png: 13×9 does not match 12×9"):
        read_mask([one, saved(tmp_path / "large.png", np.zeros((9, 13), np.uint8))], "threshold:127@1,2")
    red = np.zeros((9, 12, 3), np.uint8)
    red[..., 0] = 255
    with pytest.raises(UnsupportedImage, match=r"red\.png: a coloured mask among several"):
        read_mask([one, saved(tmp_path / "red.png", red)], "threshold:127@1,2")
