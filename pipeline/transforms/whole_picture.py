"""Patches that are normalised as the pictures that they were cut from, which is how inference sees them.

The z-score comes after the augmentation, whose ranges are for grey values from 0 to 1, and by then a picture is in
pieces. So the place of each patch's mean and deviation among those of its picture is measured where it is cut: two
numbers a channel, however large the picture.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

__all__ = ["NormalizeAsPictured", "PatchStatisticsd", "PictureStatisticsd", "normalised_as", "statistics_key"]


def statistics_key(key: Hashable) -> str:
    """Where a case has the statistics of its picture: mean and deviation, shape (2, channels or 1)."""
    return f"{key}_statistics"


def normalised_as(images: torch.Tensor, statistics: torch.Tensor) -> torch.Tensor:
    """Pictures with a given mean and deviation; one without contrast gets the mean.

    Args:
        images: Shape (…, C, W, H).
        statistics: Mean and deviation, shape (…, 2, C), or (…, 2, 1) for all channels together.
    """
    mean, deviation = _expanded(statistics)
    own_mean, own_deviation = _expanded(_statistics(images, statistics.shape[-1] > 1))
    return (images - own_mean) / torch.where(own_deviation == 0, 1.0, own_deviation) * deviation + mean


class PictureStatisticsd(MapTransform):
    """Note mean and deviation of whole pictures beside them, before patches are cut out.

    Args:
        keys: Pictures, shape (C, W, H).
        channel_wise: Of each channel by itself, as in MONAI's `NormalizeIntensityd`.
        allow_missing_keys: As in MONAI.
    """

    def __init__(self, keys: KeysCollection, channel_wise: bool = False, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channel_wise = channel_wise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with the statistics of its pictures."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[statistics_key(key)] = _statistics(torch.as_tensor(out[key]), self.channel_wise)
        return out


class PatchStatisticsd(MapTransform):
    """Put mean and deviation that a patch has in its normalised picture in the place of the picture's own.

    Args:
        keys: Patches, shape (C, W, H), with the statistics of their picture (`PictureStatisticsd`).
        allow_missing_keys: As in MONAI.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with the statistics of its patches."""
        out = dict(data)
        for key in self.key_iterator(out):
            mean, deviation = out[statistics_key(key)]
            own_mean, own_deviation = _statistics(torch.as_tensor(out[key]), len(mean) > 1)
            deviation = torch.where(deviation == 0, 1.0, deviation)
            out[statistics_key(key)] = torch.stack([(own_mean - mean) / deviation, own_deviation / deviation])
        return out


class NormalizeAsPictured(MapTransform):
    """The z-score of patches after the augmentation: mean and deviation become those of `PatchStatisticsd`.

    A patch has then the grey values that it has in its normalised picture; a change of all grey values is taken back
    as the z-score of a whole picture does it. A picture without statistics is whole: MONAI's `NormalizeIntensityd`.

    Args:
        keys: Pictures, shape (C, W, H).
        channel_wise: Of whole pictures: each channel by itself.
        allow_missing_keys: As in MONAI.
    """

    def __init__(self, keys: KeysCollection, channel_wise: bool = False, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channel_wise = channel_wise

    def statistics(self, data: Mapping[Any, Any], key: Hashable) -> torch.Tensor:
        """Mean and deviation that the pictures under a key shall have; of one case, or of a batch."""
        image = data[key]
        whole = image.new_tensor([0.0, 1.0]).reshape(2, 1).expand(2, image.shape[-3] if self.channel_wise else 1)
        found: torch.Tensor = data.get(statistics_key(key), whole)
        return found

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures normalised."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = normalised_as(out[key], self.statistics(out, key))
        return out


def _statistics(images: torch.Tensor, channel_wise: bool) -> torch.Tensor:
    """Mean and deviation, (…, 2, C) or (…, 2, 1), of (…, C, W, H)."""
    values = images.flatten(-2) if channel_wise else images.flatten(-3).unsqueeze(-2)
    mean = values.mean(-1)
    # In two passes, as MONAI does it: the mean of squares less the squared mean loses digits.
    return torch.stack([mean, (values - mean[..., None]).square().mean(-1).sqrt()], dim=-2)


def _expanded(statistics: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean, deviation = statistics[..., None, None].unbind(-4)
    return mean, deviation
