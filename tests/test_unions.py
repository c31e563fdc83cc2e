"""Learning from masks that mark several classes as one."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss
from torch import nn

from pipeline.errors import InvalidOption
from pipeline.unions import PlaceUnionsd, UnionLoss

UNIONS = {3: [1, 2]}


def inner() -> DiceCELoss:
    return DiceCELoss(softmax=True, to_onehot_y=True)


def scores(cases: int = 2) -> torch.Tensor:
    return torch.randn(cases, 3, 8, 6, generator=torch.Generator().manual_seed(0))


def whole(cases: int = 2) -> torch.Tensor:
    return torch.randint(0, 3, (cases, 1, 8, 6), generator=torch.Generator().manual_seed(1)).float()


def united(label: torch.Tensor) -> torch.Tensor:
    return torch.where(label > 0, 3.0, 0.0)


def test_without_a_union_in_the_masks_it_is_the_inner_loss() -> None:
    torch.testing.assert_close(UnionLoss(inner(), UNIONS)(scores(), whole()), inner()(scores(), whole()))


def test_a_case_with_a_union_is_scored_by_the_sum_of_the_probabilities() -> None:
    label = united(whole(1))
    probabilities = torch.softmax(scores(1), dim=1)
    merged = torch.stack([probabilities[:, 0], probabilities[:, 1:].sum(1)], dim=1)
    expected = inner()(merged.log(), (label == 3).float())
    torch.testing.assert_close(UnionLoss(inner(), UNIONS)(scores(1), label), expected)


def test_a_batch_of_both_kinds_is_the_mean_over_its_cases() -> None:
    label = torch.cat([whole(2)[:1], united(whole(2)[1:])])
    loss = UnionLoss(inner(), UNIONS)
    single = [loss(scores()[k : k + 1], label[k : k + 1]) for k in range(2)]
    torch.testing.assert_close(loss(scores(), label), (single[0] + single[1]) / 2)


def test_which_of_its_classes_a_unions_pixel_is_has_no_bearing() -> None:
    z = scores(1)
    swapped = z[:, [0, 2, 1]]
    label = united(whole(1))
    loss = UnionLoss(inner(), UNIONS)
    torch.testing.assert_close(loss(z, label), loss(swapped, label))
    assert not torch.isclose(loss(z, whole(1)), loss(swapped, whole(1)))


def test_a_union_teaches_its_classes_against_the_others() -> None:
    z = nn.Parameter(torch.zeros(1, 3, 8, 6))
    label = united(whole(1))
    optimiser = torch.optim.SGD([z], lr=50.0)
    loss = UnionLoss(inner(), UNIONS)
    for _ in range(200):
        optimiser.zero_grad()
        loss(z, label).backward()
        optimiser.step()
    inside = torch.softmax(z, dim=1)[:, 1:].sum(1, keepdim=True)
    assert (inside[label == 3] > 0.95).all()
    assert (inside[label == 0] < 0.05).all()


def test_classes_with_weights_have_another_loss_beside_them() -> None:
    weighted = DiceCELoss(softmax=True, to_onehot_y=True, weight=torch.tensor([0.5, 1.0, 1.5]))
    loss = UnionLoss(weighted, UNIONS, partial=inner())
    torch.testing.assert_close(
        loss(scores(1), united(whole(1))), UnionLoss(inner(), UNIONS)(scores(1), united(whole(1)))
    )


def test_unions_of_other_classes_are_told() -> None:
    with pytest.raises(InvalidOption, match="union 3 is one of the network's 4 classes"):
        UnionLoss(inner(), UNIONS)(torch.zeros(1, 4, 8, 6), whole(1))


def test_what_cannot_be_wrong_counts_as_right() -> None:
    predicted = torch.eye(3)[torch.tensor([[0, 1, 2], [0, 1, 2]])].movedim(-1, 0)
    mask = torch.tensor([[[3.0, 3.0, 3.0], [0.0, 0.0, 2.0]]])
    placed = PlaceUnionsd("label", UNIONS)({"pred": predicted, "label": mask})["label"]
    assert placed.tolist() == [[[1.0, 1.0, 2.0], [0.0, 0.0, 2.0]]]
    assert mask[0, 0, 0] == 3  # the case's own mask stays
