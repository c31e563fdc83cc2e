"""Weights in 16 bits."""

from __future__ import annotations

from pathlib import Path

import torch
from monai.networks.nets import DynUNet

from pipeline.tasks.find_best.writing import halved


def test_weights_with_two_names_are_stored_once_in_16_bits(tmp_path: Path) -> None:
    network = DynUNet(2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=[16, 32, 64])
    for name, weights in (("whole", network.state_dict()), ("half", halved(network.state_dict()))):
        torch.save(weights, tmp_path / name)
    assert (tmp_path / "half").stat().st_size < 0.7 * (tmp_path / "whole").stat().st_size
    network.load_state_dict(torch.load(tmp_path / "half", weights_only=True))
