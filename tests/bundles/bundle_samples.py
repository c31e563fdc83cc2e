"""The bundles of the repository, and small pictures that fit each: its channels, its type of pixels, its classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
import torch
import yaml
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
BUNDLES = sorted(path.parent.parent for path in (ROOT / "bundles").glob("*/configs/train.yaml"))
LARGEST_WEIGHTS = 15_000_000  # bytes


@dataclass(frozen=True)
class Sample:
    """What a bundle takes.

    Attributes:
        root: The bundle.
        classes: Its classes without the background.
        colour: Whether it sees colours.
        floats: Whether its pictures are float32, as those of micro-tomography are.
        side: Of the pictures that it is trained on here: what its network divides, at least 64 pixels.
    """

    root: Path
    classes: tuple[str, ...]
    colour: bool
    floats: bool
    side: int

    @property
    def training(self) -> tuple[str, ...]:
        """Overrides for one short epoch."""
        keys = config(self.root, "train")
        few = {"repeats": 1, "batch_size": 2, "num_workers": 0, "cache_rate": 0.0, "max_epochs": 1, "val_interval": 1}
        return (f"image_size=[{self.side}, {self.side}]", *(f"{key}={few[key]}" for key in few if key in keys))


def config(bundle: Path, kind: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((bundle / "configs" / f"{kind}.yaml").read_text(encoding="utf-8"))
    return content


def sample_of(bundle: Path) -> Sample:
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    image = metadata["network_data_format"]["inputs"]["image"]
    content = config(bundle, "train")
    labels = [name for index, name in sorted(content["labels"].items()) if int(index) != 0]
    strides = content["network_def"].get("strides") or [2]
    reduction = prod(max(stride) if isinstance(stride, list) else stride for stride in strides)
    return Sample(bundle, tuple(labels), image["num_channels"] == 3, image["modality"] == "OT", max(64, 2 * reduction))


def picture_of(sample: Sample, seed: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Discs inside one another, one a class: the picture, (W, H) or (W, H, 3), and class numbers, (W, H)."""
    generator = np.random.default_rng(seed)
    x, y = np.mgrid[:width, :height]
    centre = generator.uniform(0.4, 0.6, 2) * (width, height)
    distance = np.hypot(x - centre[0], y - centre[1]) / min(width, height)
    steps = [0.4 - 0.3 * k / len(sample.classes) for k in range(len(sample.classes))]
    mask = sum((distance < radius).astype(np.uint8) for radius in steps)
    grey = (200 // len(sample.classes) * mask + generator.integers(0, 40, mask.shape)).astype(np.uint8)
    if sample.floats:
        return grey.astype(np.float32) * 1e-6 - 5e-5, mask
    return (np.stack([grey, grey // 2, 255 - grey], axis=-1) if sample.colour else grey), mask


def write_picture(path: Path, picture: np.ndarray) -> str:
    """A raster file, or what SimpleITK writes, of a picture (W, H) or (W, H, 3)."""
    stored = np.ascontiguousarray(picture.swapaxes(0, 1))
    if path.suffix in (".png", ".tif"):
        Image.fromarray(stored).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(stored, isVector=picture.ndim == 3), str(path))
    return str(path)


def make_set(sample: Sample, folder: Path) -> Path:
    """The datalist of ten pictures with their masks."""
    from pipeline.tasks.index import IndexOptions, LabelOptions, index_set

    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number in range(10):
        picture, mask = picture_of(sample, number, sample.side + 16, sample.side)
        write_picture(folder / "images" / f"case_{number}{'.tif' if sample.floats else '.png'}", picture)
        write_picture(folder / "masks" / f"case_{number}.png", mask)
    options = IndexOptions(labels=LabelOptions(class_names=sample.classes), workers=1)
    index_set(folder / "images", [folder / "masks"], folder / "datalist.json", options)
    return folder / "datalist.json"


def stock(command: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`python -m monai.bundle COMMAND …` with nothing of this test's environment but the installed package.

    It computes in as many threads as this process: their number decides on the last bit of a sum, and so on a pixel.
    """
    return subprocess.run(
        [sys.executable, "-m", "monai.bundle", command, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
