"""The U-Net, and what is done around its weights: precision, several checkpoints as one, test-time flips."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MethodType
from typing import Any

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import UNet
from torch import nn

from pipeline.allocation import keep_freed_memory
from pipeline.cpu_layout import laid_out_for_cpu
from pipeline.processor import is_slow_in_bfloat16

__all__ = ["AveragedNetwork", "FoldEnsemble", "UNetWithHead", "best_dtype", "freeze_idle_biases", "with_autocast"]

# Pictures and flipped pictures in one batch.
FLIPS_AT_ONCE = 16


class UNetWithHead(UNet):
    """MONAI's residual U-Net, whose classes come from a 1×1 convolution of features at full resolution.

    The last block of MONAI's own `UNet` has no more channels than there are classes, and normalises them: with instance
    norm each class gets the same mean and deviation in every image, be it there or not. A class that is rare, or not in
    every image, is then hardly learnt. Measured, one seed, 3 CPU-minutes on colour-coded chest CT, held-out Dice: lung
    0.971 without and 0.968 with the head, trachea 0.567 and 0.915, heart 0 and 0.398; a step takes 1.3 times as long.

    Args:
        out_channels: Classes.
        channels: At each level; the first is also the width at full resolution.
        arguments: The others of `monai.networks.nets.UNet`.
    """

    def __init__(self, *, out_channels: int, channels: Sequence[int], **arguments: Any) -> None:
        super().__init__(out_channels=channels[0], channels=channels, **arguments)
        convolution = nn.Conv3d if self.dimensions == 3 else nn.Conv2d
        self.head = convolution(channels[0], out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (B, classes, W, H), for an image (B, C, W, H)."""
        scores: torch.Tensor = self.head(self.model(x))
        return scores


def best_dtype(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the device computes in it and is the quicker for it, else float32.

    A CPU without AVX512-BF16 or AMX emulates bfloat16, and is slower with it than without, as some that have it are.
    """
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    # Private, and under another name before torch 2.6: where it cannot be asked, float32 is right and a little slower.
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    quick = torch.device(device).type == "cpu" and has_bf16() and not is_slow_in_bfloat16()
    return torch.bfloat16 if quick else torch.float32


def with_autocast(network: nn.Module, device: torch.device | str, enabled: bool = True) -> nn.Module:
    """Let a network compute in bfloat16 where the device can, with float32 weights and float32 output.

    On a CPU it also computes in the quickest layout, in either precision, and the process keeps the memory that it
    frees. Biases without effect are no longer trained (`freeze_idle_biases`).

    MONAI's engines autocast on CUDA alone (``torch.autocast("cuda")`` is written into them); this wraps the forward
    pass itself, so that training, sliding windows and evaluation get it on CPU as well. The weights, their names and
    the checkpoint are unchanged. bfloat16 has float32's range, so no gradient scaling is needed.

    Args:
        enabled: Whether bfloat16 may be used.
    Returns: The same network.
    """
    dtype = best_dtype(device)
    kind = torch.device(device).type
    freeze_idle_biases(network)
    if kind == "cpu":
        keep_freed_memory()
        laid_out_for_cpu(network)
    if not enabled or dtype == torch.float32:
        return network

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast(kind, dtype=dtype):
            out = type(self).forward(self, *args, **kwargs)
        return _as_float32(out)

    # A method and not a closure over the network: a deep copy then computes with its own weights.
    network.forward = MethodType(forward, network)
    return network


def freeze_idle_biases(network: nn.Module) -> None:
    """Stop training the biases of convolutions whose output an instance norm takes the mean from.

    What such a bias adds goes with that mean: its gradient is zero but for rounding. To find that out is costly, above
    all behind a transposed convolution. Measured on two cores with AVX-512 and AMX, 16-32-64-128-160-192 in bfloat16: a
    training step 1.11 (256²) and 1.17 times as quick without (512²).
    """
    for block in network.modules():
        if isinstance(block, Convolution) and hasattr(block, "adn") and block.conv.bias is not None:
            follows = next(iter(block.adn), None)
            if isinstance(follows, nn.InstanceNorm2d | nn.InstanceNorm3d) and not follows.track_running_stats:
                block.conv.bias.requires_grad_(False)


def _as_float32(out: Any) -> Any:
    """The output in float32; each of them, where deep supervision gives several."""
    return type(out)(_as_float32(part) for part in out) if isinstance(out, (list, tuple)) else out.float()


class AveragedNetwork(nn.Module):
    """Several networks and several flips of the input as one network.

    The mean of the class probabilities is returned as its logarithm, so that a bundle's own soft-max gives that mean
    back and its post-processing stays as it is.

    Args:
        networks: Networks with one channel a class, mutually exclusive classes.
        flips: Spatial axes to flip before and after, one tuple a pass; ``((),)`` is no test-time augmentation. For
            pictures indexed [x, y] axis 0 is left/right and axis 1 top/bottom.
        at_once: Pictures and flipped pictures that are asked about together: small batches leave a GPU idle. 0 for
            one flip after the other; None for that on a CPU, which gains nothing, and 16 elsewhere.

    Attributes:
        joined: Whether a network is just being asked about all flips together, one flip behind the other.
    """

    def __init__(
        self, networks: Sequence[nn.Module], flips: Sequence[Sequence[int]] = ((),), at_once: int | None = None
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.flips = tuple(tuple(flip) for flip in flips)
        self.at_once = at_once
        self.joined = False

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logarithm of the mean probabilities, shape (B, classes, W, H), for an image (B, C, W, H)."""
        total: torch.Tensor | None = None
        for network in self.networks:
            for flip, out in zip(self.flips, self._answers(network, image), strict=True):
                out = torch.softmax(_flipped(out, flip).float(), dim=1)
                total = out if total is None else total + out
        if total is None:
            raise ValueError("AveragedNetwork needs at least one network and one pass.")
        return (total / (len(self.networks) * len(self.flips))).clamp_min(1e-8).log()

    def _answers(self, network: nn.Module, image: torch.Tensor) -> Iterator[torch.Tensor]:
        """What a network says of each flip of an image."""
        at_once = self.at_once if self.at_once is not None else 0 if image.device.type == "cpu" else FLIPS_AT_ONCE
        if len(self.flips) < 2 or len(image) * len(self.flips) > at_once:
            yield from (network(_flipped(image, flip)) for flip in self.flips)
            return
        self.joined = True
        try:
            out = network(torch.cat([_flipped(image, flip) for flip in self.flips]))
        finally:
            self.joined = False
        yield from out.chunk(len(self.flips))


def _flipped(image: torch.Tensor, flip: Sequence[int]) -> torch.Tensor:
    return image.flip([axis + 2 for axis in flip]) if flip else image


class FoldEnsemble(nn.Module):
    """The networks of a cross-validation as one network, with one state dict.

    It takes the place of `network_def` in a bundle's evaluate and inference configs, whose `models/model.pt` then holds
    the weights of all members, so that whatever reads `network_def` and `model.pt` (MONAI's bundle commands, MONAI
    Label) works with the ensemble as it does with one network. It can be scripted and traced.

    Args:
        network: One member, with one channel a class, mutually exclusive classes.
        members: Number of members: copies of `network`, until weights are loaded.
    """

    def __init__(self, network: nn.Module, members: int = 1) -> None:
        super().__init__()
        if members < 1:
            raise ValueError(f"An ensemble needs at least one member, got {members}.")
        self.networks = nn.ModuleList([network, *(copy.deepcopy(network) for _ in range(members - 1))])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logarithm of the members' mean probabilities, shape (B, classes, W, H), for an image (B, C, W, H).

        The members answer one after the other and only the sum is kept: the memory is that of one of them.
        """
        total = torch.zeros(1, device=image.device)
        for network in self.networks:
            total = total + torch.softmax(network(image).float(), dim=1)
        return (total / len(self.networks)).clamp_min(1e-8).log()

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load an ensemble's weights, or those of a single network, as its train config writes them.

        There are as many members afterwards as the weights are of: a single network is an ensemble of one.
        """
        if not any(name.startswith("networks.") for name in state_dict):
            state_dict = {f"networks.0.{name}": value for name, value in state_dict.items()}
        members = len({name.split(".")[1] for name in state_dict})
        extra = [copy.deepcopy(self.networks[0]) for _ in range(members - len(self.networks))]
        self.networks = nn.ModuleList([*self.networks[:members], *extra])
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    @staticmethod
    def joined(members: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """The state dict of an ensemble, from those of its members."""
        return {
            f"networks.{number}.{name}": value
            for number, weights in enumerate(members)
            for name, value in weights.items()
        }
