"""Every bundle trains an epoch, and infers from PNG, DICOM and NIfTI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_samples import BUNDLES, Sample, picture_of, write_picture
from PIL import Image

from pipeline.history import read_history
from pipeline.tasks.infer import infer
from pipeline.tasks.train import train


@pytest.mark.slow
def test_it_trains_an_epoch_on_pictures_of_its_kind(sample: Sample, datalist: Path, tmp_path: Path) -> None:
    result = train(str(sample.root), datalist, tmp_path / "trained", sample.training, tracking=False)
    assert result.epochs == 1
    (row,) = read_history(tmp_path / "trained" / "models" / "history.csv")
    assert np.isfinite(row["train_loss"])
    weights = torch.load(tmp_path / "trained" / "models" / "model.pt", weights_only=True)
    released = torch.load(sample.root / "models" / "model.pt", weights_only=True)
    assert {name: value.shape for name, value in weights.items()} == {k: v.shape for k, v in released.items()}


def test_there_are_pictures_of_each_kind_among_the_bundles() -> None:
    """What the tests here are worth: without bundles they would pass as well."""
    assert BUNDLES


@pytest.mark.slow
def test_png_dicom_and_nifti_of_one_picture_get_one_mask(sample: Sample, tmp_path: Path) -> None:
    grey = replace(sample, floats=False)  # PNG and DICOM hold whole numbers
    picture, _ = picture_of(grey, 3, 91, 70)
    sources = [write_picture(tmp_path / f"picture_as{suffix}", picture) for suffix in (".png", ".dcm", ".nii.gz")]
    found = {}
    for source in sources:
        result = infer(str(sample.root), [source], tmp_path / Path(source).suffix, formats=["png"])
        assert (result.refused, result.segmented) == ((), 1)
        with Image.open(result.masks[0]) as image:
            found[source] = np.asarray(image).T
    assert found[sources[0]].shape == (91, 70)
    assert set(np.unique(found[sources[0]])) <= set(range(len(sample.classes) + 1))
    for source in sources[1:]:
        np.testing.assert_array_equal(found[source], found[sources[0]], source)


@pytest.mark.slow
def test_a_nifti_file_gets_a_nifti_mask_on_its_grid(sample: Sample, tmp_path: Path) -> None:
    grey = replace(sample, floats=False)
    source = write_picture(tmp_path / "picture.nii.gz", picture_of(grey, 3, 91, 70)[0])
    result = infer(str(sample.root), [source], tmp_path / "out")
    mask = nib.load(result.masks[0])
    assert mask.shape[:2] == (91, 70)
    np.testing.assert_allclose(mask.affine, nib.load(source).affine)


@pytest.mark.slow
def test_float32_pixels_of_any_range_get_a_mask(sample: Sample, tmp_path: Path) -> None:
    floats = replace(sample, colour=False, floats=True)
    picture, _ = picture_of(floats, 3, 91, 70)
    result = infer(str(sample.root), [write_picture(tmp_path / "tomography.tif", picture)], tmp_path / "out")
    assert (result.refused, result.segmented) == ((), 1)
