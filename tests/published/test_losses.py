"""The published losses on class scores are those on the published outputs."""

import pytest
import torch
from monai.losses import DiceLoss
from torch import nn

from pipeline.published import GreyLevels, NestedSigmoids, OnGreyLevels, OnSigmoids, Powered, Total

DISC = {0: "background", 1: "disc_rim", 2: "cup"}


def case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 2, 8, 8, generator=generator), torch.randint(0, 3, (2, 1, 8, 8), generator=generator).float()


def test_the_discs_target_is_rim_and_cup_together() -> None:
    z, label = case()
    scores = NestedSigmoids(nn.Identity(), DISC, channels=2)(z)
    target = torch.cat([(label >= 1).float(), (label == 2).float()], dim=1)
    torch.testing.assert_close(OnSigmoids(nn.BCEWithLogitsLoss())(scores, label), nn.BCEWithLogitsLoss()(z, target))


def test_losses_add_up() -> None:
    z, label = case()
    scores = NestedSigmoids(nn.Identity(), DISC, channels=2)(z)
    parts = [nn.BCEWithLogitsLoss(), DiceLoss(sigmoid=True)]
    total = OnSigmoids(Total(parts))(scores, label)
    torch.testing.assert_close(total, sum(OnSigmoids(part)(scores, label) for part in parts))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_dice_of_grey_levels_has_squares_below_and_a_power_above(gamma: float) -> None:
    z, label = case()
    value, target = torch.sigmoid(z[:, :1]), label / 2
    dice = 2 * (value * target).sum() / ((value**2).sum() + (target**2).sum())
    scores = GreyLevels(nn.Identity(), DISC)(z[:, :1])
    loss = OnGreyLevels(Powered(DiceLoss(squared_pred=True, batch=True), gamma))(scores, label)
    torch.testing.assert_close(loss, (1 - dice) ** gamma, atol=1e-5, rtol=1e-4)


def test_a_perfect_dice_has_a_power_and_a_gradient_that_are_numbers() -> None:
    label = torch.ones(1, 1, 4, 4)
    value = label.clone().requires_grad_()
    loss = Powered(DiceLoss(squared_pred=True, smooth_nr=1e-3, smooth_dr=0.0), 0.5)(value, label)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(value.grad).all()
