"""Depth and width of the U-Net, and its class weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InvalidOption
from pipeline.planning.choice import Choice
from pipeline.planning.machine import Machine
from pipeline.planning.scale import Scale
from pipeline.planning.supervision import heads_for

__all__ = ["NetworkChoice", "choose_class_weights", "choose_network", "dynunet_parameters", "unet_parameters"]

BOTTLENECK = 8  # pixels along the shorter side at the lowest level: less is all border
LEVELS = (3, 6)
RES_UNITS = 2
# A class this much rarer than the commonest one is drowned in the cross-entropy.
RARE = 0.1
HEAVIEST = 4.0


@dataclass(frozen=True)
class NetworkChoice:
    """A MONAI `UNet`; with deep supervision a `DynUNet` of the same widths.

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


def choose_network(
    scale: Scale,
    in_channels: int,
    classes: int,
    machine: Machine,
    max_parameters: int | None = None,
    supervised: bool = False,
) -> NetworkChoice:
    """Levels until the bottleneck is small, widths that the machine can carry.

    Raises: InvalidOption: if no network is as small as `max_parameters`.
    """
    levels = int(math.log2(min(scale.size) / BOTTLENECK)) + 1
    levels = max(LEVELS[0], min(LEVELS[1], levels))
    heads = heads_for(levels) if supervised else 0
    bases = (32, 24, 16, 12, 8, 4) if machine.device == "gpu" else (16, 12, 8, 4)
    for base in bases:
        channels = _widths(base, levels)
        if heads:
            parameters = dynunet_parameters(in_channels, classes, channels, heads)
        else:
            parameters = unet_parameters(in_channels, classes, channels)
        if max_parameters is None or parameters <= max_parameters:
            break
    else:
        raise InvalidOption(
            f"No U-Net of {levels} levels has at most {max_parameters} parameters; the smallest has {parameters}. "
            "Give a larger --max-parameters."
        )
    smallest = min(scale.size) // 2 ** (levels - 1)
    why = (
        f"{levels} levels bring {scale.size[0]}×{scale.size[1]} down to {smallest} pixels, so that the network sees "
        f"its whole input at once; {base} channels at full resolution are what {_named(machine)} trains in the time; "
        f"{parameters / 1e6:.2f} million parameters"
    )
    # A DynUNet's first block keeps the resolution, a UNet's halves it.
    strides = (1, *(2,) * (levels - 1)) if heads else (2,) * (levels - 1)
    return NetworkChoice(Choice(list(channels), why), strides, parameters, heads)


def _widths(base: int, levels: int) -> tuple[int, ...]:
    """Doubled to 8 × base, then by 2 × base: deep levels of a wide network hold most weights and add least."""
    doubled = [base * 2**k for k in range(min(levels, 4))]
    return (*doubled, *(8 * base + 2 * base * (k + 1) for k in range(levels - 4)))


def _named(machine: Machine) -> str:
    return "a GPU" if machine.device == "gpu" else f"a CPU of {machine.cores} cores"


def unet_parameters(in_channels: int, classes: int, channels: tuple[int, ...]) -> int:
    """Number of parameters of the MONAI network; no tensor is allocated."""
    import torch
    from monai.networks.nets import UNet

    with torch.device("meta"):
        network = UNet(
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


def choose_class_weights(fingerprint: Mapping[str, Any]) -> Choice:
    """Weights of the classes in the loss: None, or one each where a class is much rarer than another.

    The weight falls with the square root of the class's share of the pixels; the mean over the classes is one.
    """
    shares = {name: c["pixel_share"] for name, c in fingerprint["classes"].items() if c["cases"]}
    if len(shares) < 2 or min(shares.values()) >= RARE * max(shares.values()):
        least = min(shares.values(), default=0.0)
        return Choice(
            None, f"no weights: the rarest class has {100 * least:.2g}% of the pixels, and Dice is blind to size"
        )
    rarest = min(shares, key=lambda name: shares[name])
    every = {"background": 1.0 - sum(shares.values()), **shares}
    names = list(fingerprint["labels"].values())
    raw = [max(every.get(name, 0.0), 1e-6) ** -0.5 for name in names]
    raw = [min(value, HEAVIEST * min(raw)) for value in raw]
    mean = sum(raw) / len(raw)
    weights = [float(format(value / mean, ".2f")) for value in raw]
    share = f"'{rarest}' has {100 * shares[rarest]:.2g}% of the pixels"
    why = f"{share}: class weights by the inverse root of the share, at most 1:4"
    return Choice(weights, why)
