"""Signals of masks and probabilities that can be worked out by hand."""

import pytest
import torch

from pipeline.gate import class_signals


def probabilities(*foreground: float) -> torch.Tensor:
    """One row of pixels with these probabilities of class 1, (2, n, 1)."""
    first = torch.tensor(foreground)[:, None]
    return torch.stack([1 - first, first])


def row(*classes: int) -> torch.Tensor:
    return torch.tensor(classes)[:, None]


def test_confidence_is_the_soft_dice_of_a_prediction_with_its_mask() -> None:
    seen = class_signals(probabilities(0.9, 0.8, 0.3, 0.0), [], row(1, 1, 0, 0))
    assert seen.confidence[0] == pytest.approx(2 * 1.7 / (2.0 + 2))
    sure = class_signals(probabilities(1, 1, 0, 0), [], row(1, 1, 0, 0))
    assert sure.confidence[0] == 1.0


def test_agreement_is_the_mean_dice_with_the_changed_pictures() -> None:
    mask = row(1, 1, 0, 0)
    views = [(mask, row(1, 1, 0, 0)), (mask, row(1, 0, 0, 0)), (mask, row(0, 0, 1, 1))]
    seen = class_signals(probabilities(1, 1, 0, 0), views, mask)
    assert seen.agreement[0] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_a_class_that_nobody_finds_is_absent() -> None:
    empty = row(0, 0, 0, 0)
    seen = class_signals(probabilities(0.1, 0, 0, 0), [(empty, empty)], empty)
    assert seen.absent[0]
    assert seen.agreement[0] == 1.0


def test_a_class_that_only_a_changed_picture_finds_is_a_disagreement() -> None:
    empty = row(0, 0, 0, 0)
    seen = class_signals(probabilities(0.4, 0, 0, 0), [(empty, row(1, 0, 0, 0))], empty)
    assert not seen.absent[0]
    assert seen.agreement[0] == 0.0
    assert seen.confidence[0] == 0.0


def test_each_class_has_its_own_signals() -> None:
    three = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])[:, :, None]  # classes 1, 2, 0
    mask = row(1, 2, 0)
    seen = class_signals(three, [(mask, row(1, 0, 0))], mask)
    assert list(seen.confidence) == [1.0, 1.0]
    assert list(seen.agreement) == [1.0, 0.0]
