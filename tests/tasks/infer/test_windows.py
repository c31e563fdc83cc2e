"""Sliding windows whose weights are kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer

from pipeline.tasks.infer.windows import WINDOWS_AT_ONCE, fewer_windows, wide_windows

CPU = torch.device("cpu")


def windows(**settings: Any) -> SlidingWindowInferer:
    return SlidingWindowInferer(roi_size=[16, 16], sw_batch_size=4, overlap=0.25, **settings)


def position(image: torch.Tensor) -> torch.Tensor:
    """An answer that depends on the place in the window, so that weights show."""
    ramp = torch.linspace(-1, 1, image.shape[-1]).expand_as(image)
    return torch.cat([image, image * ramp], dim=1)


@pytest.mark.parametrize("mode", ["gaussian", "constant"])
def test_results_are_those_of_monai_and_the_weights_are_made_once(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.randn((2, 1, 40, 25), generator=torch.Generator().manual_seed(0))
    expected = windows(mode=mode)(image, position)
    ours = wide_windows(windows(mode=mode), CPU)

    def again(*_: object, **__: object) -> None:
        raise AssertionError("the weights were made again")

    monkeypatch.setattr("monai.inferers.utils.compute_importance_map", again)
    assert torch.equal(ours(image, position), expected)


def test_a_gpu_gets_more_windows_at_once_and_fewer_where_memory_does_not_suffice() -> None:
    inferer = windows()
    inferer.roi_weight_map = torch.ones(16, 16)
    assert wide_windows(inferer, torch.device("cuda")).sw_batch_size == WINDOWS_AT_ONCE
    assert wide_windows(windows(), CPU).sw_batch_size == 4
    halved = [fewer_windows(inferer) and inferer.sw_batch_size for _ in range(5)]
    assert halved == [8, 4, 2, 1, False]


def test_other_inferers_stay_as_they_are() -> None:
    simple, dynamic = SimpleInferer(), SlidingWindowInferer(roi_size=-1)
    assert wide_windows(simple, CPU) is simple
    assert wide_windows(dynamic, CPU).roi_weight_map is None
    assert not fewer_windows(simple)
