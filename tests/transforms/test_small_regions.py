"""Small regions are left out, class by class."""

import numpy as np
import torch
from monai.data import MetaTensor

from pipeline.regions import regions_of
from pipeline.transforms import RemoveSmallRegionsd


def mask_with_specks() -> torch.Tensor:
    """20×20: class 1 of 36 pixels and a speck of two that touch by a corner, class 2 of 25 with a speck of one."""
    mask = torch.zeros(1, 20, 20)
    mask[0, 1:7, 1:7] = 1
    mask[0, 10, 1] = mask[0, 11, 2] = 1
    mask[0, 10:15, 10:15] = 2
    mask[0, 18, 18] = 2
    return mask


def test_small_regions_of_the_given_classes_become_background() -> None:
    mask = mask_with_specks()
    out = RemoveSmallRegionsd("pred", applied_labels=[1], min_share=0.01)({"pred": mask})["pred"]
    assert out[0, 10, 1] == out[0, 11, 2] == 0
    assert (out[0, 1:7, 1:7] == 1).all()
    assert torch.equal(out == 2, mask == 2)
    assert mask[0, 10, 1] == 1  # what was put in stays


def test_a_region_is_connected_by_corners_and_a_size_that_is_just_reached_stays() -> None:
    mask = mask_with_specks()
    for share, left in ((2 / 400, True), (2.1 / 400, False)):
        out = RemoveSmallRegionsd("pred", applied_labels=1, min_share=share)({"pred": mask})["pred"]
        assert bool(out[0, 10, 1] == 1) is left


def test_several_classes_at_once_and_the_metadata_stay() -> None:
    mask = MetaTensor(mask_with_specks(), affine=torch.diag(torch.tensor([0.5, 0.5, 1.0, 1.0])))
    out = RemoveSmallRegionsd("pred", applied_labels=[1, 2], min_share=0.02)({"pred": mask})["pred"]
    assert isinstance(out, MetaTensor)
    assert torch.equal(out.affine, mask.affine)
    assert sorted(out.unique().tolist()) == [0, 1, 2]
    assert int((out > 0).sum()) == 36 + 25


def test_an_empty_mask_stays_empty() -> None:
    out = RemoveSmallRegionsd("pred", applied_labels=[1], min_share=0.5)({"pred": torch.zeros(1, 8, 8)})["pred"]
    assert not out.any()


def test_regions_are_numbered_with_their_sizes() -> None:
    regions, sizes = regions_of(mask_with_specks()[0].numpy() == 1)
    assert sorted(sizes.tolist()) == [2, 36]
    assert np.bincount(regions.ravel()).tolist() == [400 - 38, *sizes.tolist()]
