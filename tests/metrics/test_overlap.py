from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipeline.metrics import EMPTY_MASK_POLICY, OVERLAP_METRICS, overlap_scores


def one_hot(mask: np.ndarray, classes: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([mask == index for index in range(classes)]).astype(np.float32))


def independent(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The scores of one class from sets of pixel numbers: no shared line with what is tested."""
    found, wanted = set(np.flatnonzero(prediction).tolist()), set(np.flatnonzero(reference).tolist())
    both, either = len(found & wanted), len(found | wanted)
    undefined = not either

    def share(part: float, whole: float) -> float:
        return math.nan if undefined else (part / whole if whole else 0.0)

    return {
        "dice": share(2 * both, len(found) + len(wanted)),
        "iou": share(both, either),
        "precision": share(both, len(found)),
        "recall": share(both, len(wanted)),
        "accuracy": 1 - len(found ^ wanted) / prediction.size,
        "f1": share(2 * both, len(found) + len(wanted)),
        "reference_pixels": len(wanted),
        "predicted_pixels": len(found),
    }


def cases() -> list[tuple[str, np.ndarray, np.ndarray, int]]:
    """Random masks of all densities, and the corners."""
    rng = np.random.default_rng(7)
    found = []
    for number in range(400):
        shape = (int(rng.integers(1, 24)), int(rng.integers(1, 24)))
        classes = int(rng.integers(2, 5))
        share = rng.dirichlet(np.full(classes, 0.3))
        prediction, reference = (rng.choice(classes, shape, p=share) for _ in range(2))
        if rng.random() < 0.5:
            prediction = np.where(rng.random(shape) < 0.9, reference, prediction)
        found.append((f"random {number}", prediction, reference, classes))
    empty, full = np.zeros((6, 5), int), np.ones((6, 5), int)
    dot = empty.copy()
    dot[2, 3] = 1
    for first, a in (("empty", empty), ("full", full), ("dot", dot), ("all but a dot", 1 - dot)):
        for second, b in (("empty", empty), ("full", full), ("dot", dot), ("all but a dot", 1 - dot)):
            found.append((f"{first} against {second}", a, b, 3))
    return found


def test_scores_agree_with_an_independent_implementation_on_416_cases() -> None:
    checked = 0
    for name, prediction, reference, classes in cases():
        scores = overlap_scores(one_hot(prediction, classes), one_hot(reference, classes))
        assert set(scores) == {*OVERLAP_METRICS, "reference_pixels", "predicted_pixels"}
        for index in range(classes):
            for metric, expected in independent(prediction == index, reference == index).items():
                got = float(scores[metric][index])
                assert got == pytest.approx(expected, abs=1e-6, nan_ok=True), f"{name}, class {index}, {metric}"
                checked += 1
    assert checked > 400 * 2 * 8


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
    assert "left out of every mean" in EMPTY_MASK_POLICY


def test_dice_and_f1_are_one_number() -> None:
    for _, prediction, reference, classes in cases()[:50]:
        scores = overlap_scores(one_hot(prediction, classes), one_hot(reference, classes))
        assert torch.equal(scores["dice"].nan_to_num(-1), scores["f1"].nan_to_num(-1))


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


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float32])
def test_any_type_of_mask_and_metatensors_score_the_same(dtype: torch.dtype) -> None:
    _, prediction, reference, classes = cases()[3]
    expected = overlap_scores(one_hot(prediction, classes), one_hot(reference, classes))
    got = overlap_scores(
        MetaTensor(one_hot(prediction, classes).to(dtype)), MetaTensor(one_hot(reference, classes).to(dtype))
    )
    assert all(torch.equal(got[name].nan_to_num(-1), expected[name].nan_to_num(-1)) for name in expected)


def test_a_volume_is_scored_as_one_case() -> None:
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 2, (5, 6, 7)), rng.integers(0, 2, (5, 6, 7))
    flat = tuple(array.reshape(5, 42) for array in volume)
    deep, wide = (overlap_scores(*(one_hot(array, 2) for array in pair)) for pair in (volume, flat))
    assert torch.equal(deep["dice"], wide["dice"])
