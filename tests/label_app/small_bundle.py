"""A bundle whose network and pictures are so small that an epoch takes a second."""

from __future__ import annotations

from pathlib import Path

import torch

from pipeline.bundle import Bundle, copy_bundle, find_bundle
from pipeline.networks import UNetWithHead

NAME = "small_segmentation"
SMALL = {
    "image_size": [64, 64],
    "batch_size": 4,
    "num_workers": 0,
    "network_def#channels": [4, 8],
    "network_def#strides": [2],
}


def untrained(folder: Path) -> Bundle:
    """The shipped bundle made small, with weights that have learnt nothing."""
    source = find_bundle("cxr_lung_segmentation")
    bundle = copy_bundle(source, folder / NAME, source.labels("train"), SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNetWithHead(
            spatial_dims=2,
            in_channels=1,
            out_channels=2,
            channels=[4, 8],
            strides=[2],
            num_res_units=2,
            act="RELU",
            norm="INSTANCE",
        )
    torch.save(network.state_dict(), bundle.weights)
    return bundle
