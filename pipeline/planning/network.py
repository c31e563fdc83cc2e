"""Depth and width of the U-Net, and its class weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.planning.choice import Choice
from pipeline.planning.scale import Scale
from pipeline.planning.supervision import heads_for

__all__ = [
    "NetworkChoice",
    "choose_class_weights",
    "choose_network",
    "dynunet_parameters",
    "rare_class",
    "unet_parameters",
]

BOTTLENECK = 8  # pixels along the shorter side at the lowest level: less is all border
LEVELS = (3, 6)
RES_UNITS = 2
# A class this much rarer than the commonest one is drowned in the cross-entropy.
RARE = 0.1
# So is a class with fewer of all pixels than this, be it the only one.
RARE_ALONE = 0.005
HEAVIEST = 4.0


@dataclass(frozen=True)
class NetworkChoice:
    """A MONAI `UNet` with a head; with deep supervision a `DynUNet` of the same widths.

    Attributes:
        channels: At each level, with the reason.
        strides: Between the levels.
        parameters: Weights and biases, those of the heads among them.
        heads: Outputs of lower levels that are trained on the masks as well; 0 is none, and a `UNet`.
    """

    channels: Choice
    strides: tuple[int, ...]
    parameters: int
    heads: int = 0


def choose_network(scale: Scale, in_channels: int, classes: int, base: int, supervised: bool = False) -> NetworkChoice:
    """Levels until the bottleneck is small.

    Args:
        scale: Size of the input.
        in_channels: Of the picture.
        classes: With the background.
        base: Channels at full resolution.
        supervised: Whether it has deep supervision.
    """
    levels = int(math.log2(min(scale.size) / BOTTLENECK)) + 1
    levels = max(LEVELS[0], min(LEVELS[1], levels))
    heads = heads_for(levels) if supervised else 0
    channels = _widths(base, levels)
    if heads:
        parameters = dynunet_parameters(in_channels, classes, channels, heads)
    else:
        parameters = unet_parameters(in_channels, classes, channels)
    smallest = min(scale.size) // 2 ** (levels - 1)
    why = (
        f"{levels} levels bring {scale.size[0]}×{scale.size[1]} down to {smallest} pixels, so that the network sees "
        f"its whole input at once; {parameters / 1e6:.2f} million parameters"
    )
    # A DynUNet's first block keeps the resolution, a UNet's halves it.
    strides = (1, *(2,) * (levels - 1)) if heads else (2,) * (levels - 1)
    return NetworkChoice(Choice(list(channels), why), strides, parameters, heads)


def _widths(base: int, levels: int) -> tuple[int, ...]:
    """Doubled to 8 × base, then by 2 × base: deep levels of a wide network hold most weights and add least."""
    doubled = [base * 2**k for k in range(min(levels, 4))]
    return (*doubled, *(8 * base + 2 * base * (k + 1) for k in range(levels - 4)))


def unet_parameters(in_channels: int, classes: int, channels: tuple[int, ...]) -> int:
    """Number of parameters of the MONAI network; no tensor is allocated."""
    import torch

    from pipeline.networks import UNetWithHead

    with torch.device("meta"):
        network = UNetWithHead(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=classes,
            channels=channels,
            strides=(2,) * (len(channels) - 1),
            num_res_units=RES_UNITS,
            act="RELU",
            norm="INSTANCE",
        )
    return sum(parameter.numel() for parameter in network.parameters())


def dynunet_parameters(in_channels: int, classes: int, channels: tuple[int, ...], heads: int) -> int:
    """Number of parameters of the deeply supervised MONAI network; no tensor is allocated."""
    import torch
    from monai.networks.nets import DynUNet

    levels = len(channels)
    with torch.device("meta"):
        network = DynUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=classes,
            kernel_size=[3] * levels,
            strides=[1, *[2] * (levels - 1)],
            upsample_kernel_size=[2] * (levels - 1),
            filters=channels,
            res_block=True,
            deep_supervision=True,
            deep_supr_num=heads,
        )
    return sum(parameter.numel() for parameter in network.parameters())


def rare_class(fingerprint: Mapping[str, Any]) -> tuple[str, str] | None:
    """The rarest class and what is said of it, if it is so rare that training would pass it over."""
    shares = {name: c["pixel_share"] for name, c in fingerprint["classes"].items() if c["cases"]}
    rarest = min(shares, key=lambda name: shares[name])
    if shares[rarest] >= max(RARE_ALONE, RARE * max(shares.values())):
        return None
    return rarest, f"'{rarest}' has {100 * shares[rarest]:.2g}% of the pixels"


def choose_class_weights(fingerprint: Mapping[str, Any]) -> Choice:
    """Weights of the classes in the loss: None, or one each where a class is rare.

    The weight falls with the square root of the class's share of the pixels; the mean over the classes is one.
    """
    shares = {name: c["pixel_share"] for name, c in fingerprint["classes"].items() if c["cases"]}
    rare = rare_class(fingerprint)
    if rare is None:
        least = min(shares.values())
        return Choice(
            None, f"no weights: the rarest class has {100 * least:.2g}% of the pixels, and Dice is blind to size"
        )
    every = {"background": 1.0 - sum(shares.values()), **shares}
    names = list(fingerprint["labels"].values())
    raw = [max(every.get(name, 0.0), 1e-6) ** -0.5 for name in names]
    raw = [min(value, HEAVIEST * min(raw)) for value in raw]
    mean = sum(raw) / len(raw)
    weights = [float(format(value / mean, ".2f")) for value in raw]
    why = f"{rare[1]}: class weights by the inverse root of the share, at most 1:4"
    return Choice(weights, why)
