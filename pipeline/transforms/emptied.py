"""Pictures without what the network looks for: marked regions filled with the tissue around them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from pipeline.transforms.fields import box_blur, position_grid, upsampled

__all__ = ["Ellipse", "Filling", "RandEmptiedd", "emptied"]

# Of the picture's longer side: how far the surrounding tissue is looked at, and how soft edges are.
AROUND = 0.04
EDGE = 0.008
FEWEST = 16  # pixels of tissue to learn its brightness from


@dataclass(frozen=True)
class Ellipse:
    """A part of a region, or of what lies between its parts.

    Attributes:
        place: Its centre, as shares of the region's extent along x and y.
        radii: Its half-axes, as shares of the square root of the region's area.
    """

    place: tuple[float, float]
    radii: tuple[float, float]


@dataclass(frozen=True)
class Filling:
    """What a region is filled with.

    Attributes:
        cloud: Control values of the tissue's uneven brightness, (n, n), in its standard deviations.
        grain: Seed of its noise.
        bubbles: Gas in it, as in a bowel.
        dome: What alone is filled, as the liver's dome fills the middle of a slice through the bases of the lungs; None
            for the whole region.
    """

    cloud: torch.Tensor
    grain: int
    bubbles: tuple[Ellipse, ...]
    dome: Ellipse | None = None

    def part_of(self, region: torch.Tensor) -> torch.Tensor:
        """What of a region is filled, (W, H), Boolean."""
        if self.dome is None or not region.any():
            return region
        return region & (_within(region, self.dome) > 0.5)


def emptied(image: torch.Tensor, region: torch.Tensor, filling: Filling) -> torch.Tensor:
    """A picture of whose region the part that is filled looks like the tissue around it.

    Args:
        image: Shape (C, W, H); the region is darker than what is around it.
        region: Shape (W, H), Boolean.
        filling: What to fill it with.
    Returns: A new picture; the same one where there is nothing to fill, or no tissue around it.
    """
    shape = (region.shape[0], region.shape[1])
    side = max(shape)
    part = filling.part_of(region)
    wide = box_blur(part.float(), max(2, round(AROUND * side))) > 0
    near = box_blur(part.float(), max(1, round(EDGE * side)))
    ring = image[0][wide & (near <= 0)]
    if not part.any() or ring.numel() < FEWEST:
        return image
    dark = torch.quantile(_few(image[0][part]), 0.1)
    # Around lungs lies air as well, behind the skin.
    tissue = ring[ring > (dark + torch.quantile(_few(ring), 0.8)) / 2]
    if tissue.numel() < FEWEST:
        return image
    grain = torch.randn(shape, generator=torch.Generator().manual_seed(filling.grain)).to(image.device)
    pattern = 0.7 * upsampled(filling.cloud.to(image.device), shape) + 0.7 * grain
    fill = tissue.mean() + tissue.std() * pattern
    for bubble in filling.bubbles:
        inside = _within(part, bubble)
        fill = fill * (1 - inside) + dark * inside
    alpha = (2.0 * near).clamp(max=1.0)
    return image * (1 - alpha) + alpha * fill


def _few(values: torch.Tensor) -> torch.Tensor:
    """Some thousands of many values: `torch.quantile` takes no more than sixteen millions, and its time."""
    return values[:: max(1, values.numel() // 4096)].float()


def _within(region: torch.Tensor, ellipse: Ellipse) -> torch.Tensor:
    """How much of each pixel lies within, (W, H): a border is as sharp as those of the picture are."""
    x, y = position_grid((region.shape[0], region.shape[1]))
    found = region.nonzero().float()
    low, high = found.amin(0), found.amax(0)
    size = [max(length - 1, 1) for length in region.shape]
    area = float(region.sum()) ** 0.5
    radii = [max(1.0, share * area) for share in ellipse.radii]
    distance = torch.zeros(region.shape, device=region.device)
    for axis, grid in enumerate((x, y)):
        centre = float(low[axis] + ellipse.place[axis] * (high[axis] - low[axis]))
        distance = distance + ((grid.to(region.device) * size[axis] - centre) / radii[axis]) ** 2
    return torch.sigmoid(2.0 * min(radii) * (1.0 - distance.sqrt()))


class RandEmptiedd(Randomizable, MapTransform):
    """Fill some classes with the tissue around them and take them out of the mask.

    A network that has seen no picture without lungs finds some everywhere: in bowel gas, in the air between the arms.
    CT slices of the chest become slices without lung, or with what a liver leaves of it, and most of them with gas,
    which is as dark and is none.

    Args:
        keys: Pictures, shape (C, W, H).
        mask_key: Class indices, shape (1, W, H).
        classes: Those that are filled; they must be darker than what is around them.
        prob: Probability that a picture is emptied.
        most_bubbles: Largest number of bubbles of gas.
        prob_dome: Probability that of an emptied picture a part alone is filled.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_key: str = "label",
        classes: Sequence[int] = (1,),
        prob: float = 0.15,
        most_bubbles: int = 5,
        prob_dome: float = 0.4,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.mask_key = mask_key
        self.classes = tuple(classes)
        self.prob = prob
        self.most_bubbles = most_bubbles
        self.prob_dome = prob_dome
        self.filling: Filling | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw what the next picture is filled with."""
        self.filling = None
        if self.R.rand() >= self.prob:
            return
        n = self.R.randint(3, 9)
        # A stomach or colon full of gas is a quarter as wide as the lungs together.
        bubbles = tuple(
            self._ellipse((0.0, 1.0), (0.02, 0.25)) for _ in range(self.R.randint(0, self.most_bubbles + 1))
        )
        cloud = torch.as_tensor(self.R.standard_normal((n, n)), dtype=torch.float32)
        dome = self._ellipse((0.2, 0.8), (0.4, 1.0)) if self.R.rand() < self.prob_dome else None
        self.filling = Filling(cloud, int(self.R.randint(2**31)), bubbles, dome)

    def _ellipse(self, places: tuple[float, float], radii: tuple[float, float]) -> Ellipse:
        place = (float(self.R.uniform(*places)), float(self.R.uniform(*places)))
        return Ellipse(place, (float(self.R.uniform(*radii)), float(self.R.uniform(*radii))))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case, its pictures emptied and its mask without what was filled."""
        out = dict(data)
        self.randomize()
        if self.filling is None:
            return out
        mask = torch.as_tensor(out[self.mask_key])
        region = torch.isin(mask[0].round().to(torch.int64), torch.tensor(self.classes, device=mask.device))
        for key in self.key_iterator(out):
            out[key] = emptied(out[key], region, self.filling)
        out[self.mask_key] = out[self.mask_key].masked_fill(self.filling.part_of(region)[None], 0)
        return out
