"""A bundle against a recipe, subject by subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation_phantoms import evaluated, films
from PIL import Image

from benchmarks.release.against import dice_against


def test_an_invention_counts_and_is_told(tmp_path: Path) -> None:
    datalist = films(tmp_path, 4, labels=("background", "lung"))
    for number in (0, 1):  # of one subject: no lung
        Image.fromarray(np.zeros((60, 72), np.uint8)).save(tmp_path / "masks" / f"film{number:03d}.png")

    def of_recipe(number: int, mask: np.ndarray) -> np.ndarray:
        found = mask.copy()
        found[:3, :3] = number == 1
        return found

    recipe = evaluated(tmp_path / "recipe", datalist, of_recipe)
    bundle = evaluated(tmp_path / "bundle", datalist, lambda number, mask: mask)
    found = dice_against([recipe], [bundle])["lung"]
    # Of the first subject one film is rightly empty in both and left out; in the other the recipe's Dice is 0.
    assert found["mean"] == pytest.approx((1.0 + 0.0) / 2)
    assert found["n"] == 2
    assert found["invented"] == {"recipe": 1, "bundle": 0}
    other_way = dice_against([bundle], [recipe])["lung"]
    assert (other_way["mean"], other_way["invented"]) == (pytest.approx(-0.5), {"recipe": 0, "bundle": 1})
