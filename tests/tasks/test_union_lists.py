"""Lists that mark several classes as one, joined with one that has them all; and a bundle that learns from both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from pipeline.datalist import read_datalist
from pipeline.errors import InvalidDatalist, InvalidOption
from pipeline.labels import LabelCoding
from pipeline.planning import PlanOptions, make_plan, read_task_spec, write_bundle
from pipeline.readers import read_mask
from pipeline.split import Fractions
from pipeline.tasks.folds import train_folds
from pipeline.tasks.index import IndexOptions, LabelOptions, SplitOptions, index_set
from pipeline.tasks.inspect import fingerprint_of
from pipeline.tasks.merge import merge_datalists
from pipeline.tasks.train import train
from pipeline.tasks.union_lists import parse_unions, with_unions

DISC = {"disc": ("disc_rim", "cup")}
SPEC = """
name: discs
modality: XC
labels: [background, disc_rim, cup]
masks: "levels:0=0,128=1,255=2"
unions: {disc: [disc_rim, cup]}
"""


def discs(folder: Path, seeds: range, *, cup: bool) -> Path:
    """Colour pictures of a disc with a cup in it; without `cup` the masks mark the disc alone."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    y, x = np.mgrid[:48, :48]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        centre = rng.uniform(18, 30, 2)
        distance = np.hypot(x - centre[0], y - centre[1])
        mask = np.where(distance < 6, 255, np.where(distance < 13, 128, 0)).astype(np.uint8)
        red = (40 + mask * 0.7 + rng.normal(0, 15, mask.shape)).clip(0, 255)
        picture = np.stack([red, 0.6 * red, 0.3 * red], axis=-1).astype(np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"eye{seed}.png")
        Image.fromarray(mask if cup else (255 * (mask > 0)).astype(np.uint8)).save(folder / "masks" / f"eye{seed}.png")
    labels = (
        LabelOptions(levels="0=background,128=disc_rim,255=cup")
        if cup
        else LabelOptions(threshold=127, class_names=("disc",))
    )
    options = IndexOptions(labels=labels, modality="XC", split=SplitOptions(Fractions(0.6, 0.2, 0.2)), workers=1)
    index_set(folder / "images", [folder / "masks"], folder / "datalist.json", options)
    return folder / "datalist.json"


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("eyes")
    return discs(folder / "whole", range(10), cup=True), discs(folder / "discs", range(100, 110), cup=False)


def test_cases_of_a_union_go_to_training_with_a_number_behind_the_classes(
    lists: tuple[Path, Path], tmp_path: Path
) -> None:
    result = merge_datalists(lists, tmp_path / "all.json", unions=DISC, workers=1)
    content = read_datalist(result.path)
    assert list(content.labels) == ["background", "disc_rim", "cup"]
    assert [len(content.part(part)) for part in ("training", "validation", "test")] == [12, 2, 2]
    assert result.unscored == 4
    codings = [item["label_coding"] for item in content.training]
    assert codings == ["levels:0=0,128=1,255=2"] * 6 + ["threshold:127@3"] * 6
    mask = read_mask(str(tmp_path / content.training[-1]["label"]), codings[-1])
    assert set(np.unique(mask)) == {0, 3}


def test_without_the_union_the_classes_differ(lists: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidDatalist, match="--union which of its classes stands for several"):
        merge_datalists(lists, tmp_path / "all.json", workers=1)


def test_a_union_is_of_the_first_lists_classes(lists: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="expected a new name for some of disc_rim, cup"):
        merge_datalists(lists, tmp_path / "all.json", unions={"disc": ("rim", "cup")}, workers=1)


def test_a_union_has_no_part_in_a_new_split(lists: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="cannot be split anew"):
        merge_datalists(lists, tmp_path / "all.json", unions=DISC, fractions=Fractions(), workers=1)


@pytest.mark.parametrize("text", ["disc", "disc=rim", "=rim,cup", "disc=rim,rim"])
def test_a_union_that_is_none_is_one_clear_line(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"--union .* cannot be read"):
        parse_unions([text])


@pytest.mark.parametrize(
    ("coding", "numbers", "expected"),
    [
        ("threshold:127", {0: 0, 1: 3}, "threshold:127@3"),
        ("index", {0: 0, 1: 3}, "index@3"),
        ("threshold:127@1,1", {0: 0, 1: 3}, "threshold:127@3,3"),
        ("levels:0=0,128=1,255=2", {0: 0, 1: 4, 2: 1}, "levels:0=0,128=4,255=1"),
        ("colours:#000000=0,#ff0000=1", {0: 0, 1: 3}, "colours:#000000=0,#ff0000=3"),
    ],
)
def test_masks_stay_as_they_are_and_are_coded_otherwise(
    coding: str, numbers: dict[int, int], expected: str, lists: tuple[Path, Path]
) -> None:
    content = read_datalist(lists[1])
    content.training[:] = [{"image": "a.png", "label": "b.png", "label_coding": coding}]
    renumbered = with_unions(content, numbers).training[0]["label_coding"]
    assert renumbered == expected
    assert LabelCoding.parse(renumbered).known_classes <= set(numbers.values())


def test_indices_of_several_classes_cannot_be_renumbered(lists: tuple[Path, Path]) -> None:
    content = read_datalist(lists[1])
    content.training[:] = [{"image": "a.png", "label": "b.png", "label_coding": "index"}]
    with pytest.raises(InvalidDatalist, match="with --levels"):
        with_unions(content, {0: 0, 1: 3, 2: 1})


@pytest.mark.parametrize("parts", ["[disc_rim]", "[disc_rim, vessel]", "[background, cup]"])
def test_a_task_with_a_union_of_no_classes_is_one_clear_line(parts: str, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(SPEC.replace("[disc_rim, cup]}", f"{parts}}}"))
    with pytest.raises(InvalidOption, match="the union 'disc' is of"):
        read_task_spec(path)


def planned(folder: Path, whole: Path) -> Path:
    (folder / "task.yaml").write_text(SPEC)
    plan = make_plan(fingerprint_of(whole, workers=1), read_task_spec(folder / "task.yaml"), PlanOptions(budget_s=60))
    write_bundle(plan, folder / "eyes_segmentation", {"classes": {}})
    return folder / "eyes_segmentation"


@pytest.mark.slow
def test_a_planned_bundle_learns_from_both_and_stays_one_of_three_classes(
    lists: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle = planned(tmp_path, lists[0])
    config = yaml.safe_load((bundle / "configs" / "train.yaml").read_text())
    assert config["unions"] == {3: [1, 2]}
    assert "unions" not in (bundle / "configs" / "inference.yaml").read_text()
    both = merge_datalists(lists, tmp_path / "all.json", unions=DISC, workers=1).path
    overrides = ("max_epochs=2", "val_interval=1", "image_size=[64, 64]", "num_workers=0", "batch_size=4", "repeats=1")
    result = train(str(bundle), both, tmp_path / "trained", overrides, tracking=False)
    assert result.epochs == 2
    weights = torch.load(result.bundle.weights, weights_only=True)
    assert weights["head.weight"].shape[0] == 3


def test_what_cannot_learn_from_unions_says_so_before_anything_is_written(
    lists: tuple[Path, Path], tmp_path: Path
) -> None:
    both = merge_datalists(lists, tmp_path / "all.json", unions=DISC, workers=1).path
    said = (
        r"all\.json: \d+ training cases mark several classes as one \(--union\), from which the recipe drishti cannot"
    )
    with pytest.raises(InvalidOption, match=said):
        train(str(planned(tmp_path, lists[0])), both, tmp_path / "trained", recipe="drishti", tracking=False)
    with pytest.raises(InvalidOption, match="from which cxr_lung_segmentation cannot learn"):
        train("cxr_lung_segmentation", both, tmp_path / "trained", tracking=False)
    with pytest.raises(InvalidOption, match="from which a cross-validation cannot learn"):
        train_folds(str(tmp_path / "eyes_segmentation"), both, tmp_path / "trained", folds=2, tracking=False)
    assert not (tmp_path / "trained").exists()
