"""A small task in colour that a small network learns in seconds: a green disc with a bright core, seen by windows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss
from PIL import Image

from pipeline.bundle import Bundle, copy_bundle, find_bundle
from pipeline.datalist import Datalist, write_datalist
from pipeline.networks import UNetWithHead

LABELS = {0: "background", 1: "rim", 2: "core"}
CHANNELS, STRIDES = (8, 16, 24), (2, 2)
QUALITY = """
classes:
  rim: {present: always, objects: 1, area_share: [0.05, 0.5]}
  core: {present: always, objects: 1, inside: rim}
"""


def cell(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture, (72, 60, 3) uint8, and its classes, (72, 60), both [y, x]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:72, :60]
    cx, cy = rng.uniform(24, 36), rng.uniform(28, 44)
    outer, inner = rng.uniform(13, 19), rng.uniform(5, 8)
    distance = np.hypot(x - cx, y - cy)
    classes = np.where(distance < inner, 2, np.where(distance < outer, 1, 0)).astype(np.uint8)
    colours = np.array([[120, 60, 70], [60, 140, 60], [220, 220, 120]], np.float64) * rng.uniform(0.8, 1.15)
    picture = colours[classes] + rng.normal(0, 12, (72, 60, 3)) + 10 * np.sin(x / 9 + rng.uniform(0, 6))[..., None]
    return picture.clip(0, 255).astype(np.uint8), classes


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datalist of 24 cells to train on, 10 to calibrate with and 10 to test on, one subject each."""
    folder = tmp_path_factory.mktemp("cells")
    items = []
    for number in range(44):
        picture, classes = cell(number)
        Image.fromarray(picture).save(folder / f"cell_{number:02d}.png")
        Image.fromarray(classes).save(folder / f"classes_{number:02d}.png")
        items.append(
            {
                "image": f"cell_{number:02d}.png",
                "label": f"classes_{number:02d}.png",
                "label_coding": "index",
                "subject": f"{number:016x}",
                "image_sha256": f"{number:064x}",
            }
        )
    datalist = Datalist("cells", list(LABELS.values()), training=items[:24], validation=items[24:34], test=items[34:])
    write_datalist(datalist, folder / "datalist.json")
    return folder / "datalist.json"


@pytest.fixture(scope="session")
def trained_bundle(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle for the cells whose network has learned them, without a gate. Not to be changed: copy it."""
    from pipeline.tasks.infer.predictor import Predictor

    settings = {
        "image_size": [64, 64],
        "network_def#in_channels": 3,
        "network_def#channels": list(CHANNELS),
        "network_def#strides": list(STRIDES),
        "network_def#num_res_units": 1,
        "preprocessing#transforms#2#channels": 3,
        "inferer#roi_size": [48, 48],
        "test_time_flips": [[], [0]],
    }
    bundle = copy_bundle(
        find_bundle("cxr_lung_segmentation"), tmp_path_factory.mktemp("bundle") / "cells_segmentation", LABELS
    )
    from pipeline.bundle.editing import edit_config

    edit_config(bundle.config("inference"), settings)
    (bundle.root / "configs" / "quality.yaml").write_text(QUALITY)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNetWithHead(
            spatial_dims=2,
            in_channels=3,
            out_channels=3,
            channels=CHANNELS,
            strides=STRIDES,
            num_res_units=1,
            act="RELU",
            norm="INSTANCE",
        )
        torch.save(network.state_dict(), bundle.weights)
        read = Predictor(bundle, (bundle.weights,), {}).preprocessing
        images = torch.stack([read({"image": str(cells.parent / f"cell_{k:02d}.png")})["image"] for k in range(24)])
        masks = [np.asarray(Image.open(cells.parent / f"classes_{k:02d}.png").resize((53, 64), 0)).T for k in range(24)]
        padded = np.stack([np.pad(mask, ((5, 6), (0, 0))) for mask in masks])
        labels = torch.from_numpy(padded)[:, None].long()
        loss = DiceCELoss(softmax=True, to_onehot_y=True)
        optimizer = torch.optim.AdamW(network.parameters(), 0.01)
        for step in range(90):
            rows = torch.randint(24, (6,), generator=torch.Generator().manual_seed(step))
            turn = step % 4
            batch, wanted = (
                torch.rot90(part[rows].as_tensor() if hasattr(part, "as_tensor") else part[rows], turn, (2, 3))
                for part in (images, labels)
            )
            optimizer.zero_grad()
            loss(network(batch), wanted).backward()
            optimizer.step()
        torch.save(network.state_dict(), bundle.weights)
    torch.set_num_threads(threads)
    return bundle


@pytest.fixture(scope="session")
def calibrated(trained_bundle: Bundle, cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The trained bundle with its gate. Not to be changed: use `gated_bundle`."""
    from pipeline.tasks.calibrate import calibrate

    root = tmp_path_factory.mktemp("calibrated") / "cells_segmentation"
    shutil.copytree(trained_bundle.root, root)
    calibrate(str(root), cells, variants=8, minimum_dice=0.8)
    return Bundle(root, root.name)


@pytest.fixture
def gated_bundle(calibrated: Bundle, tmp_path: Path) -> Bundle:
    """A copy of the calibrated bundle for one test."""
    root = tmp_path / "cells_segmentation"
    shutil.copytree(calibrated.root, root)
    return Bundle(root, root.name)
