"""Each recipe trains, by our command and by MONAI's, and is evaluated by the ordinary evaluation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from PIL import Image

from pipeline.bundle import copy_bundle, find_bundle, find_recipe
from pipeline.errors import InvalidOption, user_error_within
from pipeline.history import read_history
from pipeline.tasks.evaluate import evaluate
from pipeline.tasks.index import IndexOptions, LabelOptions, index_set
from pipeline.tasks.train import train
from pipeline.tasks.workflow import quiet_libraries

CLASSES = {
    "montgomery": ("lung",),
    "drishti": ("disc_rim", "cup"),
    "kaggle_ct": ("lung",),
    "colour_masks": ("lung", "heart", "trachea"),
    "tomography": ("nickel", "pore"),
}
NARROW = "[4, 4, 8, 8, 8, 4]"
SMALL = ("max_epochs=1", "image_size=[32, 32]", "batch_size=2", "num_workers=0", "cache_rate=0")
WIDTHS = {
    "montgomery": f"network_def#network#features={NARROW}",
    "drishti": "network_def#network#widths=[4, 8, 8, 8, 8]",
    "kaggle_ct": f"network_def#network#features={NARROW}",
    "colour_masks": f"network_def#features={NARROW}",
    "tomography": f"network_def#network#features={NARROW}",
}


def rings(folder: Path, classes: tuple[str, ...], colour: bool) -> Path:
    """Discs inside discs, one a class, on pictures of 40×32 pixels."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    y, x = np.mgrid[:32, :40]
    for number in range(10):
        centre = generator.uniform(12, 20, 2)
        distance = np.hypot(x - centre[0], y - centre[1])
        mask = sum((distance < 11 - 3 * k).astype(np.uint8) for k in range(len(classes)))
        image = 60 * mask + generator.integers(0, 30, mask.shape).astype(np.uint8)
        shown = np.stack([image, image // 2, 255 - image], axis=-1) if colour else image
        Image.fromarray(shown).save(folder / "images" / f"case_{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"case_{number}.png")
    options = IndexOptions(labels=LabelOptions(class_names=classes), workers=1)
    index_set(folder / "images", [folder / "masks"], folder / "datalist.json", options)
    return folder / "datalist.json"


@pytest.fixture(scope="module", params=CLASSES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """A recipe's name, its datalist, and the bundle that it trained for an epoch."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    datalist = rings(folder / "set", CLASSES[name], colour=name in ("drishti", "colour_masks"))
    result = train(
        "cxr_lung_segmentation", datalist, folder / "bundle", (*SMALL, WIDTHS[name]), recipe=name, tracking=False
    )
    assert result.epochs == 1
    assert any(name in note for note in result.notes)
    return name, datalist, folder / "bundle"


@pytest.mark.slow
def test_an_epoch_leaves_weights_and_a_history(trained: tuple[str, Path, Path]) -> None:
    name, _, bundle = trained
    (row,) = read_history(bundle / "models" / "history.csv")
    assert np.isfinite(row["train_loss"])
    assert row["learning_rate"] == pytest.approx(find_recipe(name).overrides["learning_rate"])
    assert ("val_quantised_mse" in row) == (name == "tomography")
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert all(torch.isfinite(value.float()).all() for value in state.values())


@pytest.mark.slow
def test_the_ordinary_evaluation_scores_it_in_the_bundles_classes(trained: tuple[str, Path, Path]) -> None:
    name, datalist, bundle = trained
    result = evaluate(str(bundle), datalist, "test", bundle.parent / "evaluation", tracking=False)
    assert set(CLASSES[name]) <= set(result.summary)
    masks = [np.asarray(Image.open(path)) for path in (bundle.parent / "evaluation" / "masks").rglob("*.png")]
    assert {mask.shape for mask in masks} == {(32, 40)}  # each picture's own grid
    assert max(mask.max() for mask in masks) <= len(CLASSES[name])
    iou = result.summary[CLASSES[name][0]]["per_image"]["iou"]
    assert {"mean", "std"} <= set(iou)


def stock(name: str, folder: Path) -> dict[str, Any]:
    """What MONAI's `run` is given: the bundle's config, the recipe behind it, and settings."""
    source = find_bundle("cxr_lung_segmentation")
    datalist = rings(folder / "set", CLASSES[name], colour=name in ("drishti", "colour_masks"))
    small = {key: yaml.safe_load(value) for key, _, value in (pair.partition("=") for pair in (*SMALL, WIDTHS[name]))}
    return {
        "config_file": [str(source.config("train")), str(find_recipe(name).path)],
        "bundle_root": str(source.root),
        "ckpt_dir": str(folder / "models"),
        "datalist": str(datalist),
        "labels": dict(enumerate(("background", *CLASSES[name]))),
        **small,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CLASSES if name != "montgomery"])
def test_monai_trains_by_it_as_a_second_config_file(name: str, tmp_path: Path) -> None:
    from monai.bundle import run

    with quiet_libraries():
        run(logging_file=False, **stock(name, tmp_path))
    assert (tmp_path / "models" / "model.pt").is_file()


@pytest.mark.slow
def test_monais_own_command_takes_it_as_a_second_config_file(tmp_path: Path) -> None:
    given = stock("montgomery", tmp_path)
    command = [sys.executable, "-m", "monai.bundle", "run", *(str(w) for k, v in given.items() for w in (f"--{k}", v))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "models" / "model.pt").is_file()


def test_whole_pictures_are_seen_once_where_the_bundle_takes_patches(tmp_path: Path) -> None:
    datalist = rings(tmp_path / "set", ("pore",), colour=False)
    source = find_bundle("tomo_pore_segmentation")
    copy = copy_bundle(source, tmp_path / "copy", source.labels(), recipe=find_recipe("tomography"))
    parser = ConfigParser()
    parser.read_config(str(copy.config("train")))
    parser.update({"datalist": str(datalist), "bundle_root": str(copy.root), "num_workers": 0})
    batch = next(iter(parser.get_parsed_content("train#dataloader")))
    assert "RandCropByPosNegLabeld" in source.config("train").read_text(encoding="utf-8")
    assert batch["image"].shape == batch["label"].shape == (4, 1, 256, 256)


@pytest.mark.slow
def test_a_recipe_for_other_classes_is_refused_in_one_line(tmp_path: Path) -> None:
    datalist = rings(tmp_path / "set", CLASSES["colour_masks"], colour=False)
    with pytest.raises(RuntimeError) as caught:  # MONAI's, around ours
        train("cxr_lung_segmentation", datalist, tmp_path / "bundle", SMALL, recipe="montgomery", tracking=False)
    told = user_error_within(caught.value)
    assert isinstance(told, InvalidOption)
    assert "tells 2 classes, the data have 4" in str(told)
    assert not (tmp_path / "bundle").exists()


def test_a_training_that_is_resumed_takes_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="drop --recipe"):
        train("cxr_lung_segmentation", tmp_path / "datalist.json", recipe="montgomery", resume=True)


@pytest.mark.slow
@pytest.mark.parametrize(("space", "channels"), [("hsv", 3), ("grey", 1)])
def test_colours_are_taken_in_another_space(space: str, channels: int, tmp_path: Path) -> None:
    datalist = rings(tmp_path / "set", CLASSES["colour_masks"], colour=True)
    overrides = (*SMALL, WIDTHS["colour_masks"], f"colour_space={space}", f"in_channels={channels}")
    result = train(
        "cxr_lung_segmentation", datalist, tmp_path / "bundle", overrides, recipe="colour_masks", tracking=False
    )
    first = torch.load(result.bundle.weights, weights_only=True)["conv_0.conv_0.conv.weight"]
    assert first.shape[1] == channels
