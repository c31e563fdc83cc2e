from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from brute_force import overlap, pairs
from monai.data import MetaTensor

from pipeline.metrics import EMPTY_MASK_POLICY, OVERLAP_METRICS, confusion_matrix, overlap_scores


def one_hot(mask: np.ndarray, classes: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([mask == index for index in range(classes)]).astype(np.float32))


def test_one_hot_masks_are_scored_as_brute_force_scores_them() -> None:
    for pair in list(pairs())[::3]:
        scores = overlap_scores(one_hot(pair.prediction, pair.classes), one_hot(pair.reference, pair.classes))
        assert set(scores) == {*OVERLAP_METRICS, "reference_pixels", "predicted_pixels"}
        for index in range(pair.classes):
            expected = overlap(pair.prediction == index, pair.reference == index)
            got = {name: float(scores[name][index]) for name in scores}
            assert got == pytest.approx({name: expected[name] for name in scores}, abs=1e-6, nan_ok=True), pair.name


def test_a_case_counted_by_hand() -> None:
    # 3 pixels in common, 1 found too many, 2 missed, 6 of neither.
    prediction = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]])
    reference = np.array([[1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0]])
    scores = {
        name: float(value[1]) for name, value in overlap_scores(one_hot(prediction, 2), one_hot(reference, 2)).items()
    }
    assert scores == pytest.approx(
        {
            "dice": 6 / 9,
            "iou": 3 / 6,
            "precision": 3 / 4,
            "recall": 3 / 5,
            "specificity": 6 / 7,
            "accuracy": 9 / 12,
            "f1": 6 / 9,
            "reference_pixels": 5,
            "predicted_pixels": 4,
        },
        abs=1e-12,
    )


@pytest.mark.parametrize(
    ("found", "wanted", "score"), [(False, False, math.nan), (True, False, 0.0), (False, True, 0.0), (True, True, 1.0)]
)
def test_empty_masks_follow_the_policy(found: bool, wanted: bool, score: float) -> None:
    prediction, reference = (torch.full((2, 4, 4), float(there)) for there in (found, wanted))
    scores = overlap_scores(prediction, reference)
    for metric in ("dice", "iou", "precision", "recall", "f1"):
        assert float(scores[metric][1]) == pytest.approx(score, nan_ok=True), metric
    assert float(scores["accuracy"][1]) == float(found == wanted)
    # Of a class that is nowhere in the reference every pixel that is not predicted is right.
    specificity = math.nan if wanted else float(not found)
    assert float(scores["specificity"][1]) == pytest.approx(specificity, nan_ok=True)
    assert "left out of every mean" in EMPTY_MASK_POLICY


def test_the_confusion_matrix_has_the_reference_by_row() -> None:
    prediction, reference = np.array([[0, 1, 2], [2, 2, 1]]), np.array([[0, 1, 1], [2, 0, 1]])
    expected = [[1, 0, 1], [0, 2, 1], [0, 0, 1]]
    assert confusion_matrix(prediction, reference, 3).tolist() == expected
    # Flipped and strided arrays count the same.
    assert confusion_matrix(prediction[:, ::-1], reference[:, ::-1], 3).tolist() == expected


@pytest.mark.parametrize("classes", [2, 16, 17, 40])
def test_the_confusion_matrix_counts_any_number_of_classes(classes: int) -> None:
    rng = np.random.default_rng(0)
    prediction, reference = rng.integers(0, classes, (2, 50, 60)).astype(np.uint8)
    expected = np.zeros((classes, classes), int)
    np.add.at(expected, (reference, prediction), 1)
    np.testing.assert_array_equal(confusion_matrix(prediction, reference, classes), expected)


def test_pixels_are_counted_exactly_beyond_what_float32_holds() -> None:
    # A large mammogram: 2^24 + 3 background pixels, 101 of the class, of which one is found wrongly.
    size = 2**24 + 104
    reference = torch.zeros((1, 1, size), dtype=torch.uint8)
    reference[..., :101] = 1
    prediction = reference.clone()
    prediction[..., 101] = 1
    scores = overlap_scores(prediction, reference)
    assert int(scores["predicted_pixels"][0]) == 102
    assert float(scores["precision"][0]) == pytest.approx(101 / 102, abs=1e-12)
    assert float(scores["accuracy"][0]) == pytest.approx(1 - 1 / size, abs=1e-12)
    assert confusion_matrix(prediction[0].numpy(), reference[0].numpy(), 2).tolist() == [[2**24 + 2, 1], [0, 101]]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float32])
def test_any_type_of_mask_and_metatensors_score_the_same(dtype: torch.dtype) -> None:
    pair = list(pairs())[-1]
    masks = one_hot(pair.prediction, pair.classes), one_hot(pair.reference, pair.classes)
    expected = overlap_scores(*masks)
    got = overlap_scores(*(MetaTensor(mask.to(dtype)) for mask in masks))
    assert all(torch.equal(got[name].nan_to_num(-1), expected[name].nan_to_num(-1)) for name in expected)


def test_a_volume_is_scored_as_one_case() -> None:
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 2, (5, 6, 7)), rng.integers(0, 2, (5, 6, 7))
    flat = tuple(array.reshape(5, 42) for array in volume)
    deep, wide = (overlap_scores(*(one_hot(array, 2) for array in pair)) for pair in (volume, flat))
    assert torch.equal(deep["dice"], wide["dice"])
