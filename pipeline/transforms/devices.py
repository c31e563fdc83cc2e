"""Things on a film that are not the patient: leads, wires, plates, letters."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from PIL import Image, ImageDraw

from pipeline.transforms.fields import box_blur

__all__ = ["Device", "RandDevicesd", "device_layers", "draw_devices"]

# One device: kind, its points as shares of width and height, its size as a share of the height, brightness,
# opacity and edge blur in pixels, and the letters if it is text.
Device = tuple[str, list[tuple[float, float]], float, float, float, int, str]

KINDS = ("plate", "wire", "lead", "text")
LETTERS = "ABCDLRSUPINEMOBTX 0123456789"


def draw_devices(image: torch.Tensor, devices: list[Device]) -> torch.Tensor:
    """Blend drawn devices into a picture.

    Args:
        image: Shape (C, W, H), values about 0 to 1.
        devices: What to draw, later ones on top.
    Returns: A new picture.
    """
    kept, added = device_layers(devices, (image.shape[-2], image.shape[-1]))
    return image * kept + added


def device_layers(devices: Sequence[Device], shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """What devices leave of a picture and what they add to it, whatever the picture.

    Args:
        devices: What to draw, later ones on top.
        shape: (W, H), pixels.
    Returns: The share of each pixel that is kept, and what is added to it, both (W, H).
    """
    width, height = shape
    kept, added = torch.ones(shape), torch.zeros(shape)
    for kind, points, size, brightness, opacity, blur, letters in devices:
        canvas = Image.new("L", (width, height))
        pen = ImageDraw.Draw(canvas)
        at = [(x * width, y * height) for x, y in points]
        extent = max(1.0, size * height)
        if kind == "plate":
            (x, y), (u, v) = at[0], points[1]
            pen.rectangle((x, y, x + extent * (0.3 + u), y + extent * (0.3 + v)), fill=255)
        elif kind == "wire":
            pen.line(at, fill=255, width=max(1, round(extent * 0.12)), joint="curve")
        elif kind == "lead":
            (x, y), radius = at[0], extent * 0.3
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        else:
            pen.text(at[0], letters, fill=255, font_size=max(6, round(extent * 0.6)))
        box = canvas.getbbox()
        if box is None:  # it lies outside
            continue
        # Where it is, with room for both passes of the blur and no border in their reach: most devices are small.
        left, top = (max(0, edge - 3 * blur) for edge in box[:2])
        right, bottom = (min(side, edge + 3 * blur) for side, edge in zip(shape, box[2:], strict=True))
        alpha = torch.from_numpy(np.asarray(canvas.crop((left, top, right, bottom)), dtype=np.float32).T / 255.0)
        alpha = box_blur(alpha.contiguous(), blur) * opacity
        here = (slice(left, right), slice(top, bottom))
        kept[here] *= 1 - alpha
        added[here] = added[here] * (1 - alpha) + alpha * brightness
    return kept, added


class RandDevicesd(Randomizable, MapTransform):
    """Draw plates, wires, electrode leads and letters onto a picture; the mask stays.

    Args:
        keys: Pictures, values about 0 to 1, shape (C, W, H).
        prob: Probability of any device.
        most: Largest number of devices.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self, keys: KeysCollection, prob: float = 0.4, most: int = 4, allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.prob = prob
        self.most = most
        self.devices: list[Device] = []

    def randomize(self, data: Any = None) -> None:
        """Draw the devices of the next picture."""
        self.devices = []
        if self.R.rand() >= self.prob:
            return
        for _ in range(self.R.randint(1, self.most + 1)):
            kind = KINDS[self.R.randint(len(KINDS))]
            count = self.R.randint(3, 7) if kind == "wire" else 2
            self.devices.append(
                (
                    kind,
                    [(float(x), float(y)) for x, y in self.R.rand(count, 2)],
                    float(self.R.uniform(0.03, 0.25 if kind == "plate" else 0.12)),
                    float(self.R.choice([0.0, 1.0], p=[0.2, 0.8]) + self.R.normal(0, 0.1)),
                    float(self.R.uniform(0.2, 1.0)),
                    int(self.R.choice([0, 0, 1, 3, 8])) if kind == "plate" else int(self.R.choice([0, 0, 1])),
                    "".join(LETTERS[i] for i in self.R.randint(0, len(LETTERS), self.R.randint(1, 10))),
                )
            )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the case with its pictures changed."""
        out = dict(data)
        self.randomize()
        if self.devices:
            for key in self.key_iterator(out):
                out[key] = draw_devices(out[key], self.devices)
        return out
