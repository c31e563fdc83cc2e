"""Images of every kind that annotators have, and servers on them; without MONAI Label the tests are skipped."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from benchmarks.label_server import LabelServer, serving_a_copy

BUNDLE = "cxr_lung_segmentation"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs MONAI Label where it is not; where it is, let it do what it does.

    Its client leaves sockets open, and it imports what Python is going to drop.
    """
    missing = importlib.util.find_spec("monailabel") is None
    skip = pytest.mark.skip(reason="MONAI Label is not installed: make test-label has an environment for it")
    for item in items:
        if item.get_closest_marker("label") is not None:
            item.add_marker(skip if missing else pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One film in every container, as a viewer shows it the same, and two volumes."""
    from pipeline.phantom import ct_series, radiograph, thorax
    from pipeline.phantom.dicom import ct_slices_bytes, film_bytes

    folder = tmp_path_factory.mktemp("studies")
    body = thorax(3)
    film = radiograph(body, seed=3, size=160)
    grey = np.ascontiguousarray(film.image[:130].T)  # higher than wide
    for suffix in ("png", "tif", "bmp"):
        Image.fromarray(grey).save(folder / f"film_{suffix}.{suffix}")
    Image.fromarray(grey).save(folder / "film_jpg.jpg", quality=95)
    Image.fromarray(np.dstack([grey] * 3)).save(folder / "film_rgb.jpeg", quality=95)
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(np.rot90(grey)).save(folder / "film_turned.jpg", exif=turned, quality=95)
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        taken = replace(film, settings=replace(film.settings, photometric=photometric))
        content = film_bytes(taken, subject="PHANTOM-3", number=int(photometric[-1]), origin="label")
        (folder / f"film_{photometric}.dcm").write_bytes(content)
    affine = np.diag([-1.4, -1.2, 1, 1])
    nib.save(nib.Nifti1Image(grey.T[:, :, np.newaxis], affine), folder / "film_nifti.nii.gz")
    flipped = nib.Nifti1Image(grey.T[::-1, ::-1, np.newaxis], np.diag([1.4, 1.2, 1, 1]))
    nib.save(flipped, folder / "film_flipped.nii.gz")
    series = ct_series(body, seed=3, size=64, slices=5)
    (folder / "ct").mkdir()
    for number, content in enumerate(ct_slices_bytes(series, subject="PHANTOM-3", origin="label")):
        (folder / "ct" / f"{number}.dcm").write_bytes(content)
    nib.save(nib.Nifti1Image(series.hu, series.affine), folder / "volume.nii.gz")
    return folder


@pytest.fixture(scope="session")
def server(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    """`planar label start` on a copy of the films with the shipped bundle."""
    with serving_a_copy(films, tmp_path_factory.mktemp("label_server"), BUNDLE) as running:
        yield running
