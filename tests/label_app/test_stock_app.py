"""The same bundle, unchanged, in MONAI Label's own `monaibundle` app."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.label_server import LabelServer
from pipeline.bundle import find_bundle
from pipeline.digests import file_sha256

pytestmark = [pytest.mark.label, pytest.mark.timeout(900)]

BUNDLE = "cxr_lung_segmentation"
SAMPLE = Path(sys.prefix) / "monailabel" / "sample-apps" / "monaibundle"


@pytest.fixture(scope="module")
def stock(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    folder = tmp_path_factory.mktemp("stock")
    app = folder / "monaibundle"
    shutil.copytree(SAMPLE, app, ignore=shutil.ignore_patterns("model", "__pycache__"))
    shutil.copytree(find_bundle(BUNDLE).root, app / "model" / BUNDLE)
    shutil.copytree(films, folder / "studies")
    # It looks for files of a few suffixes, and at the top alone.
    arguments = ["--studies", folder / "studies", "--conf", "models", BUNDLE, "--conf", "zoo_source", "ngc"]
    # A temporary folder of its own: the server deletes what it has sent, under the name that its client gives it.
    (folder / "tmp").mkdir()
    running = LabelServer(folder, arguments, {"TMPDIR": str(folder / "tmp")}, stock=app)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def expected(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `planar infer --no-tta` writes: the stock app knows one network, and no mirror images."""
    from pipeline.tasks.infer import infer

    out = tmp_path_factory.mktemp("expected")
    assert infer(BUNDLE, [str(films)], out, gate=False, test_time_flips=False).refused == ()
    return out


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float(((one > 0) & (other > 0)).sum()) / float((one > 0).sum() + (other > 0).sum())


def test_its_models_are_the_bundles(stock: LabelServer) -> None:
    model = stock.client.info()["models"][BUNDLE]
    assert (model["type"], model["labels"], model["dimension"]) == ("segmentation", {"lung": 1}, 2)
    assert BUNDLE in stock.client.info()["trainers"]


def test_a_film_comes_back_in_its_size_and_with_class_numbers(stock: LabelServer, expected: Path) -> None:
    file, told = stock.client.infer(BUNDLE, "film_png", {})
    mask, wanted = np.asarray(Image.open(file)), np.asarray(Image.open(expected / "film_png_mask.png"))
    assert (mask.shape, mask.dtype) == (wanted.shape, np.uint8)
    assert set(np.unique(mask)) == {0, 1}
    assert dice(mask, wanted) > 0.995
    assert told["label_names"] == {"lung": 1}


def test_a_film_as_nifti_comes_back_on_its_grid(stock: LabelServer, expected: Path) -> None:
    file, _ = stock.client.infer(BUNDLE, "film_nifti", {})
    mask = np.asarray(nib.load(file).dataobj).squeeze()
    wanted = np.asarray(nib.load(expected / "film_nifti_mask.nii.gz").dataobj).squeeze()
    assert mask.shape == wanted.shape
    assert dice(mask, wanted) > 0.995


def test_a_jpeg_gets_a_jpeg_and_other_numbers_than_classes(stock: LabelServer) -> None:
    """What ours does not do: see test_same_as_infer."""
    file, _ = stock.client.infer(BUNDLE, "film_jpg", {})
    assert file.endswith(".jpg")


def test_a_volume_is_too_much_for_it(stock: LabelServer) -> None:
    """What ours does not do: see test_same_as_infer."""
    with pytest.raises(Exception, match="500"):
        stock.client.infer(BUNDLE, "volume", {})


def test_it_trains_the_bundle_too_and_overwrites_the_model_with_whatever_comes_out(
    stock: LabelServer, expected: Path, tmp_path: Path
) -> None:
    client = stock.client
    weights = stock.work / "model" / BUNDLE / "models" / "model.pt"
    before = file_sha256(weights)
    for image in ("film_png", "film_tif"):
        client.save_label(image, str(expected / f"{image}_mask.png"))
    # Even one epoch is validated, and so replaces the weights, though the config validates after several.
    interval = int(yaml.safe_load(find_bundle(BUNDLE).config("train").read_text(encoding="utf-8"))["val_interval"])
    assert interval > 1
    for epochs in (1, interval):
        client.train_start(
            BUNDLE, {"device": "cpu", "max_epochs": epochs, "val_split": 0.5, "multi_gpu": False, "tracking": "None"}
        )
        done = stock.wait_for("train", 600)
        assert done["status"] == "DONE", "\n".join(done["details"])
        assert file_sha256(weights) != before
        before = file_sha256(weights)
