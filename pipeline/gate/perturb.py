"""Harmless changes of a picture: a right mask changes with it, a lucky one changes otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["VIEWS", "View", "brightened", "moved", "rescaled"]


@dataclass(frozen=True)
class View:
    """One way to look at a picture again.

    Attributes:
        scale: Size of what is on the picture, as a factor.
        degrees: Rotation about the middle.
        gamma: Exponent of the brightness, between the picture's lowest and highest value.
    """

    scale: float
    degrees: float
    gamma: float

    def apply(self, image: torch.Tensor) -> torch.Tensor:
        """The changed pictures, shape (B, C, W, H); what comes in from outside has the picture's lowest value."""
        low = image.amin(dim=(1, 2, 3), keepdim=True)
        return rescaled(brightened(moved(image - low, self.scale, self.degrees), self.gamma), image)

    def move(self, mask: torch.Tensor) -> torch.Tensor:
        """Class indices of the picture on the changed picture's grid, shape (B, W, H); 0 comes in from outside."""
        return moved(mask[:, None].float(), self.scale, self.degrees, nearest=True)[:, 0].to(mask.dtype)


# Smaller and larger, turned both ways, brighter and darker: within what any two pictures of one task differ by. A
# single network is asked about the first two, an ensemble about as many as it has members.
VIEWS = (
    View(0.85, 8.0, 0.7),
    View(1.12, -8.0, 1.5),
    View(0.93, -5.0, 1.25),
    View(1.06, 5.0, 0.8),
    View(1.0, 10.0, 1.0),
)


def moved(image: torch.Tensor, scale: float, degrees: float, *, nearest: bool = False) -> torch.Tensor:
    """Scale and rotate pictures about their middle; zero comes in from outside.

    Args:
        image: Shape (B, C, W, H).
        scale: Above 1 everything becomes larger, and what lies at the edge is lost.
        degrees: Rotation.
        nearest: Take the nearest pixel instead of interpolating.
    """
    # A gate is read where a prediction was made without torch.
    import torch
    from torch.nn import functional

    width, height = image.shape[2:]
    cos, sin = math.cos(math.radians(degrees)) / scale, math.sin(math.radians(degrees)) / scale
    # In the grid's coordinates both sides are 2 long, whatever the picture's proportions.
    matrix = torch.tensor(
        [[cos, -sin * width / height, 0.0], [sin * height / width, cos, 0.0]], dtype=torch.float32, device=image.device
    )
    grid = functional.affine_grid(matrix[None].expand(len(image), -1, -1), list(image.shape), align_corners=False)
    mode = "nearest" if nearest else "bilinear"
    return functional.grid_sample(image.float(), grid, mode=mode, padding_mode="zeros", align_corners=False)


def brightened(image: torch.Tensor, gamma: float) -> torch.Tensor:
    """Bend the brightness of pictures, (B, C, W, H), between the lowest and the highest value of each; 0 to 1."""
    low, high = image.amin(dim=(1, 2, 3), keepdim=True), image.amax(dim=(1, 2, 3), keepdim=True)
    return ((image - low) / (high - low).clamp_min(1e-6)) ** gamma


def rescaled(image: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Give each channel of pictures, (B, C, W, H), the mean and the spread of others', as a normalisation would."""
    mean, std = _moments(image)
    wanted_mean, wanted_std = _moments(like)
    return (image - mean) / std.clamp_min(1e-6) * wanted_std + wanted_mean


def _moments(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return image.mean(dim=(2, 3), keepdim=True), image.std(dim=(2, 3), keepdim=True)
