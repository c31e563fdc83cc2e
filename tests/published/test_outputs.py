"""Published outputs as class scores: the same decisions, and the way back for the loss."""

import pytest
import torch
from torch import nn

from pipeline.errors import InvalidOption
from pipeline.published import GreyLevels, NestedSigmoids, grey_value, nested_logits

DISC = {0: "background", 1: "disc_rim", 2: "cup"}
LUNG = {0: "background", 1: "lung"}


def logits(channels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 4 * torch.randn(2, channels, 9, 7, generator=generator)


def test_the_soft_max_of_one_sigmoid_channel_is_that_sigmoid() -> None:
    z = logits(1)
    probabilities = torch.softmax(NestedSigmoids(nn.Identity(), LUNG)(z), dim=1)
    torch.testing.assert_close(probabilities[:, 1:], torch.sigmoid(z))


def test_disc_and_cup_are_decided_as_two_sigmoids_cut_at_a_half() -> None:
    z = logits(2)
    decided = NestedSigmoids(nn.Identity(), DISC, channels=2)(z).argmax(dim=1)
    disc, cup = (torch.sigmoid(z) > 0.5).unbind(1)
    expected = torch.where(cup, 2, torch.where(disc, 1, 0))
    assert torch.equal(decided, expected)
    assert {0, 1, 2} == set(expected.unique().tolist())
    assert (cup & ~disc).any()  # the sigmoids contradict each other somewhere: the inner one wins


@pytest.mark.parametrize(("labels", "channels"), [(LUNG, 1), (DISC, 2)])
def test_a_loss_gets_the_sigmoids_logits_back_with_their_gradient(labels: dict[int, str], channels: int) -> None:
    z = logits(channels).requires_grad_()
    back = nested_logits(NestedSigmoids(nn.Identity(), labels, channels)(z))
    torch.testing.assert_close(back, z, atol=1e-5, rtol=1e-5)
    weight = torch.rand_like(z)
    (back * weight).sum().backward()
    torch.testing.assert_close(z.grad, weight, atol=1e-5, rtol=1e-5)


def test_half_precision_inside_does_not_reach_the_scores() -> None:
    scores = NestedSigmoids(nn.Identity(), DISC, channels=2)(logits(2).bfloat16())
    assert scores.dtype == torch.float32
    torch.testing.assert_close(nested_logits(scores), logits(2).bfloat16().float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("labels", [DISC, {0: "background", 1: "a", 2: "b", 3: "c"}])
def test_classes_that_the_channels_cannot_tell_are_one_clear_line(labels: dict[int, str]) -> None:
    with pytest.raises(InvalidOption, match=f"1 sigmoid channel tells 2 classes, the data have {len(labels)}"):
        NestedSigmoids(nn.Identity(), labels)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_nearest_grey_level_wins(classes: int) -> None:
    labels = {number: str(number) for number in range(classes)}
    z = logits(1)
    decided = GreyLevels(nn.Identity(), labels)(z).argmax(dim=1, keepdim=True)
    assert torch.equal(decided, torch.round(torch.sigmoid(z) * (classes - 1)).long())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_loss_gets_the_grey_value_back_with_its_gradient(classes: int) -> None:
    z = logits(1).requires_grad_()
    back = grey_value(GreyLevels(nn.Identity(), {number: str(number) for number in range(classes)})(z))
    torch.testing.assert_close(back, torch.sigmoid(z), atol=1e-5, rtol=1e-4)
    back.sum().backward()
    value = torch.sigmoid(z.detach())
    torch.testing.assert_close(z.grad, value * (1 - value), atol=1e-5, rtol=1e-3)
