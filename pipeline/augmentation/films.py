"""What happens to X-ray films, for several at once: the same as `pipeline.transforms` does to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.augmentation.fields import box_blurred, smooth_fields
from pipeline.augmentation.subsets import changed, on_device, per_case
from pipeline.transforms.devices import Device, device_layers
from pipeline.transforms.opacity import SAMPLES, Opacity

__all__ = ["collimated", "contrast_enhanced", "devices_drawn", "exposure_changed", "opacities_added"]

TISSUE = 0.1  # darker is outside the body


def exposure_changed(images: torch.Tensor, drawn: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """`apply_exposure` for films (n, C, W, H), with the control values of gain and shift of each."""
    shape = (images.shape[2], images.shape[3])
    gain, offset = (smooth_fields([one[part] for one in drawn], shape, images.device)[:, None] for part in (0, 1))
    return images * torch.exp(gain) + offset * images.clamp(0, 1).sqrt()


def contrast_enhanced(images: torch.Tensor, drawn: Sequence[tuple[float, float]]) -> torch.Tensor:
    """`enhance_local_contrast` for films (n, C, W, H), with radius (share of the width) and amount of each."""
    radii = [max(1, round(radius * images.shape[2])) for radius, _ in drawn]
    slow = box_blurred(images, radii)
    amount = per_case([amount for _, amount in drawn], images)
    return images - amount * (slow - images.mean(dim=(2, 3), keepdim=True))


def collimated(
    batch: torch.Tensor, margins: Sequence[Sequence[int]], values: Sequence[float], at: Sequence[int]
) -> torch.Tensor:
    """`collimate` for some pictures of a batch.

    Args:
        batch: Pictures or masks, shape (B, C, W, H); changed, see `changed`.
        margins: Pixels to cover at the left, right, top and bottom of each.
        values: What each border holds.
        at: Numbers of the pictures.
    """

    def cover(some: torch.Tensor) -> torch.Tensor:
        left, right, top, bottom = on_device(np.asarray(margins).T, some.device, torch.int64)[:, :, None]
        width, height = some.shape[2:]
        x, y = (torch.arange(size, device=some.device)[None] for size in (width, height))
        across, along = (x >= left) & (x < width - right), (y >= top) & (y < height - bottom)
        inside = across[:, None, :, None] & along[:, None, None, :]
        return torch.where(inside, some, per_case(values, some))

    return changed(batch, at, cover)


def devices_drawn(images: torch.Tensor, drawn: Sequence[Sequence[Device]]) -> torch.Tensor:
    """`draw_devices` for films (n, C, W, H): drawn on the host, blended in on the device."""
    shape = (images.shape[2], images.shape[3])
    layers = torch.stack([torch.stack(device_layers(devices, shape)) for devices in drawn])
    kept, added = on_device(layers, images.device, images.dtype)[:, :, None].unbind(1)
    return images * kept + added


def opacities_added(
    images: torch.Tensor, lungs: torch.Tensor, drawn: Sequence[Sequence[Opacity]], at: Sequence[int]
) -> torch.Tensor:
    """`add_opacity` for some films of a batch, each opacity of a film after the one before.

    Args:
        images: Films, shape (B, C, W, H); changed, see `changed`.
        lungs: Lung masks, shape (B, W, H), Boolean.
        drawn: Opacities of each film.
        at: Numbers of the films.
    """
    for turn in range(max(map(len, drawn), default=0)):
        those = [(number, one[turn]) for number, one in zip(at, drawn, strict=True) if len(one) > turn]
        which = [number for number, _ in those]
        # The whole batch's masks are few bytes; a subset of them is taken as that of the films is.
        index = on_device(which, lungs.device, torch.int64)
        here, opacities = lungs.index_select(0, index), [opacity for _, opacity in those]

        def add(films: torch.Tensor, here: torch.Tensor = here, each: Sequence[Opacity] = opacities) -> torch.Tensor:
            return _one_opacity_each(films, here, each)

        images = changed(images, which, add)
    return images


def _one_opacity_each(images: torch.Tensor, lungs: torch.Tensor, drawn: Sequence[Opacity]) -> torch.Tensor:
    width, height = lungs.shape[1:]
    device = images.device
    x, y = (torch.linspace(0, 1, size, device=device) for size in (width, height))
    x, y = x[None, :, None], y[None, None, :]

    def numbers(values: Sequence[float]) -> torch.Tensor:
        return on_device(values, device, torch.float32)[:, None, None]

    # What is one number a film, a row or a column is put together first, and the films are changed in place: each pass
    # over all pixels counts. A cloud less its cover is the same before it is made smooth, which keeps constants.
    amount = smooth_fields([6.0 * (one.cloud - one.cover) for one in drawn], (width, height), device).sigmoid_()
    where, steepness, ramped = (numbers(list(values)) for values in zip(*map(_ramp, drawn), strict=True))
    # The maximum of bytes, which a CPU finds in a tenth of the time that `any` takes.
    rows, columns = (lungs.view(torch.uint8).amax(axis).float() for axis in (1, 2))
    top = rows.argmax(1)[:, None, None] / max(height - 1, 1)
    bottom = (height - 1 - rows.flip(1).argmax(1))[:, None, None] / max(height - 1, 1)
    slope = ramped * torch.sigmoid(steepness * ((y - top) / (bottom - top).clamp_min(1e-3) - where))
    sloping = torch.addcmul(0.8 * slope, 0.2 * slope, amount)
    torch.maximum(amount.mul_(1.0 - 0.7 * ramped), sloping, out=amount)
    place = torch.arange(width, device=device, dtype=torch.float32)
    middle = (columns * place).sum(1) / columns.sum(1).clamp_min(1) / max(width - 1, 1)
    side = torch.sigmoid((x - middle[:, None, None]) * 40.0)
    left, right = (numbers([one.sides[part] for one in drawn]) for part in (0, 1))

    weights = lungs[:, None].to(images.dtype)
    count = weights.sum((2, 3), keepdim=True)
    lung_mean = (images * weights).sum((2, 3), keepdim=True) / count.clamp_min(1)
    target = _tissue_quantiles(images[:, 0], lungs, [one.brightness for one in drawn])
    # Films without lungs or tissue stay; asking the device whether there are any would make the host wait for it.
    changes = (count > 0) & target.isfinite()
    strength, texture = (
        per_case(values, images) for values in zip(*[(o.strength, o.texture) for o in drawn], strict=True)
    )
    amount.mul_((changes * strength)[:, 0] * (left * (1 - side) + right * side))
    inside = box_blurred(weights.float(), [round(one.softness * height) for one in drawn]).mul_(2.0).clamp_(max=1.0)
    alpha = inside.mul_(amount[:, None]).clamp_(0, 1)
    # From the film to what shows through: target + texture · (film − mean of the lungs).
    shown = target.nan_to_num() - texture * lung_mean
    return (images * (texture - 1.0)).add_(shown).mul_(alpha).add_(images)


def _ramp(opacity: Opacity) -> tuple[float, float, float]:
    """Where a gradient is half opaque, how steep it is, and 1; zeros without one."""
    return (0.0, 0.0, 0.0) if opacity.ramp is None else (*opacity.ramp, 1.0)


def _tissue_quantiles(films: torch.Tensor, lungs: torch.Tensor, quantiles: Sequence[float]) -> torch.Tensor:
    """A quantile of each film's tissue outside the lungs, shape (n, 1, 1, 1); NaN where there is no tissue."""
    every = max(1, round((films.shape[1] * films.shape[2] / SAMPLES) ** 0.5))
    sample, outside = films[:, ::every, ::every], ~lungs[:, ::every, ::every]
    tissue = torch.where(outside & (sample > TISSUE), sample, torch.nan).flatten(1).float()
    count = tissue.isfinite().sum(1)
    # As torch.quantile: between neighbours in order. NaN are sorted to the end.
    ordered = tissue.sort(dim=1).values
    place = on_device(quantiles, films.device, torch.float32) * (count - 1).clamp_min(0)
    low = place.floor().long()
    high = torch.minimum(low + 1, (count - 1).clamp_min(0))
    values = [ordered.gather(1, index[:, None])[:, 0] for index in (low, high)]
    return (values[0] + (place - low) * (values[1] - values[0])).reshape(-1, 1, 1, 1)
