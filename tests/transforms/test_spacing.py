"""Pictures at one spacing, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, Invertd, LoadImaged

from pipeline.errors import UnsupportedImage
from pipeline.transforms import ToSpacingd
from pipeline.transforms.spacing import size_at_spacing


def picture(shape: tuple[int, int], spacing: tuple[float, float]) -> MetaTensor:
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    disc = ((x**2 + y**2) < 0.4).astype(np.float32)
    return MetaTensor(torch.from_numpy(disc)[None], meta={"spacing_mm": np.array(spacing), "filename_or_obj": "a.mha"})


def test_an_anisotropic_picture_becomes_isotropic() -> None:
    step = ToSpacingd(["image", "label"], spacing_mm=1.0, mode=["bilinear", "nearest"])
    case = {"image": picture((100, 40), (0.5, 1.25)), "label": picture((100, 40), (float("nan"), float("nan")))}
    out = step(case)
    assert out["image"].shape == out["label"].shape == (1, 50, 50)
    assert set(np.unique(out["label"])) <= {0.0, 1.0}


def test_it_is_undone_to_the_sources_size(tmp_path: Path) -> None:
    # A coronal slice: its second axis lies along the body, where MONAI's Spacing would find no spacing.
    volume = SimpleITK.GetImageFromArray(np.random.default_rng(0).integers(0, 200, (30, 1, 44)).astype(np.int16))
    volume.SetSpacing((0.7, 5.0, 1.9))
    path = tmp_path / "coronal.mha"
    SimpleITK.WriteImage(volume, str(path))
    before = Compose(
        [
            LoadImaged("image", reader="pipeline.readers.PlanarReader"),
            EnsureChannelFirstd("image"),
            ToSpacingd("image", spacing_mm=1.4),
        ]
    )
    case = before({"image": str(path)})
    assert case["image"].shape == (1, 22, round(30 * 1.9 / 1.4))
    case["pred"] = torch.ones_like(case["image"])
    back = Invertd("pred", transform=before, orig_keys="image", nearest_interp=False)(case)
    assert back["pred"].shape == (1, 44, 30)
    assert torch.allclose(torch.as_tensor(back["pred"]), torch.ones(()))


def test_unknown_spacing_is_refused_with_what_to_do() -> None:
    case = {"image": picture((20, 20), (float("nan"), float("nan")))}
    with pytest.raises(UnsupportedImage, match=r"a\.mha: its pixel spacing is unknown; this bundle works at 1 mm"):
        ToSpacingd("image", spacing_mm=1.0)(case)


def test_a_spacing_that_no_picture_has_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="Check the spacing"):
        size_at_spacing((512, 512), (700.0, 700.0), 1.0)
