"""What recipes do to a bundle's configs, without training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pipeline.bundle import copy_bundle, deeply_supervised, find_bundle, find_recipe, shipped_recipes, without_mirroring
from pipeline.datalist import Datalist
from pipeline.errors import InvalidBundle, InvalidOption, MissingFile
from pipeline.tasks.prepared import Wishes, copied

LUNG = {0: "background", 1: "lung"}
RECIPES = ("colour_masks", "drishti", "kaggle_ct", "montgomery", "tomography")


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def recipe_of(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_each_published_project_has_its_recipe() -> None:
    assert tuple(shipped_recipes()) == RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_where_it_differs_from_the_project(name: str) -> None:
    text = shipped_recipes()[name].read_text(encoding="utf-8")
    assert "# Where it differs" in text
    assert f"--recipe {name}" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("montgomery", {"image_size": [512, 512], "learning_rate": 1e-5, "batch_size": 2, "max_epochs": 30}),
        ("drishti", {"learning_rate": 1e-4, "max_epochs": 50}),
        ("kaggle_ct", {"image_size": [256, 256], "learning_rate": 1e-3, "batch_size": 16, "max_epochs": 10}),
        ("colour_masks", {"image_size": [128, 128]}),
        ("tomography", {"image_size": [256, 256], "batch_size": 4, "max_epochs": 10}),
    ],
)
def test_a_recipe_has_the_published_settings(name: str, said: dict[str, object]) -> None:
    overrides = find_recipe(name).overrides
    assert {key: overrides[key] for key in said} == said
    assert overrides["optimizer"]["_target_"] == "torch.optim.Adam"


@pytest.mark.parametrize("name", RECIPES)
def test_all_configs_of_the_copy_agree_and_refer_to_what_is_there(name: str, tmp_path: Path) -> None:
    copy = copy_bundle(find_bundle("cxr_lung_segmentation"), tmp_path / "copy", LUNG, recipe=find_recipe(name))
    configs = {kind: read(copy.config(kind)) for kind in ("train", "multi_gpu_train", "evaluate", "inference")}
    for key in ("network_def", "image_size", "picture_transforms", "in_channels"):
        assert all(config[key] == configs["train"][key] for config in configs.values()), key
    assert configs["evaluate"]["image_preprocessing"] == configs["inference"]["preprocessing"]
    assert configs["inference"]["test_time_flips"] == configs["evaluate"]["test_time_flips"] == [[]]
    assert "max_epochs" not in configs["inference"]
    assert not (copy.root / "configs" / "plan.json").exists()  # what it says is not so any more
    assert "image_preprocessing" not in configs["inference"]
    assert read(copy.root / "configs" / "recipe.yaml") == dict(find_recipe(name).overrides)
    assert "pipeline.transforms.DecodeMaskd" in copy.config("train").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_neither_the_choice_of_the_weights_nor_post_processing_is_the_bundles(name: str, tmp_path: Path) -> None:
    source = find_bundle("ct_chest_segmentation")
    copy = copy_bundle(source, tmp_path / "copy", source.labels("train"), recipe=find_recipe(name))
    assert read(source.config("train"))["checkpoints"]["keep"] == "last"
    assert read(copy.config("train"))["checkpoints"]["keep"] == "best"
    for kind in ("evaluate", "inference"):
        assert read(source.config(kind))["refinement"]
        assert read(copy.config(kind))["refinement"] == []


def test_the_input_is_described_as_the_recipe_has_it(tmp_path: Path) -> None:
    recipe = find_recipe("colour_masks")
    copy = copy_bundle(find_bundle("cxr_lung_segmentation"), tmp_path / "copy", LUNG, recipe=recipe)
    described = json.loads(copy.metadata.read_text(encoding="utf-8"))["network_data_format"]
    assert described["inputs"]["image"]["num_channels"] == 3
    assert described["inputs"]["image"]["spatial_shape"] == [128, 128]
    assert described["outputs"]["pred"]["spatial_shape"] == [128, 128]
    assert described["outputs"]["pred"]["num_channels"] == 2


def test_settings_win_over_the_recipe(tmp_path: Path) -> None:
    settings = {"image_size": [64, 64], "network_def#network#features": [4, 4, 4, 4, 4, 4]}
    recipe = find_recipe("kaggle_ct")
    copy = copy_bundle(find_bundle("cxr_lung_segmentation"), tmp_path / "copy", LUNG, settings, recipe=recipe)
    for kind in ("train", "evaluate", "inference"):
        config = read(copy.config(kind))
        assert config["image_size"] == [64, 64]
        assert config["network_def"]["network"]["features"] == [4] * 6


def test_keys_merge_as_monai_merges_them(tmp_path: Path) -> None:
    from monai.bundle import ConfigParser

    path = recipe_of(
        tmp_path,
        "max_epochs: 3\nloss: {_target_: DiceLoss}\ntrain#dataset#cache_rate: 0.5\n"
        "+validate#handlers: [{_target_: StatsHandler, name: more}]\n+validate#additional_metrics: {another: 1}\n",
    )
    source = find_bundle("cxr_lung_segmentation")
    copy = copy_bundle(source, tmp_path / "copy", LUNG, recipe=find_recipe(str(path)))
    assert read(copy.config("train")) == ConfigParser.load_config_files([str(source.config("train")), str(path)])


def test_the_bundle_that_is_given_stays_as_it_is(tmp_path: Path) -> None:
    source = find_bundle("cxr_lung_segmentation")
    before = {path: path.read_bytes() for path in (source.root / "configs").iterdir()}
    copy_bundle(source, tmp_path / "copy", LUNG, recipe=find_recipe("montgomery"))
    assert {path: path.read_bytes() for path in (source.root / "configs").iterdir()} == before


def test_a_recipes_own_flips_are_switched_off_where_classes_have_sides() -> None:
    sides = {0: "background", 1: "right_lung", 2: "left_lung"}
    settings = without_mirroring(find_bundle("cxr_lung_segmentation"), sides, find_recipe("kaggle_ct"))
    off = {f"train#random_transforms#{number}#prob": 0.0 for number in (0, 1)}
    assert settings == {"test_time_flips": [[]], **off}


def test_a_recipe_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(MissingFile, match=r"no recipe 'nope'.*montgomery"):
        find_recipe("nope")


@pytest.mark.parametrize("text", ["", "- a list\n", "word\n", "a: [1\n"])
def test_a_file_that_is_no_recipe_is_one_clear_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"mine\.yaml"):
        find_recipe(str(recipe_of(tmp_path, text)))


def test_a_key_that_leads_nowhere_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    path = recipe_of(tmp_path, "train#nothing#there: 1\n")
    with pytest.raises(InvalidBundle, match="train#nothing#there"):
        copy_bundle(find_bundle("cxr_lung_segmentation"), tmp_path / "copy", LUNG, recipe=find_recipe(str(path)))
    assert not (tmp_path / "copy").exists()


def test_adding_to_a_single_value_is_one_clear_line(tmp_path: Path) -> None:
    path = recipe_of(tmp_path, "+max_epochs: [1]\n")
    with pytest.raises(InvalidOption, match="adds a list to what is none"):
        copy_bundle(find_bundle("cxr_lung_segmentation"), tmp_path / "copy", LUNG, recipe=find_recipe(str(path)))


def test_several_processes_share_the_batch_of_a_recipe(tmp_path: Path) -> None:
    source = find_bundle("fundus_disc_cup_segmentation")
    copy = copy_bundle(source, tmp_path / "copy", source.labels(), recipe=find_recipe("drishti"))
    assert yaml.safe_load(copy.config("train").read_text())["batch_size"] == 8
    several = yaml.safe_load(copy.config("multi_gpu_train").read_text())
    assert several["batch_size"] == "$max(1, 8 // dist.get_world_size())"


def test_a_recipe_does_not_go_with_deep_supervision(tmp_path: Path) -> None:
    source = find_bundle("cxr_lung_segmentation")
    deep = copy_bundle(source, tmp_path / "deep", source.labels(), {"network_def#deep_supervision": True})
    assert deeply_supervised(deep) and not deeply_supervised(source)
    content = Datalist("films", list(source.labels().values()))
    with pytest.raises(InvalidOption, match="deep supervision"):
        copied(
            deep,
            tmp_path / "out",
            content,
            tmp_path / "datalist.json",
            {},
            Wishes.of("drishti", None, resume=False),
            lambda: None,
        )


def test_a_recipe_without_augmentation_still_normalises(tmp_path: Path) -> None:
    path = recipe_of(tmp_path, "max_epochs: 3\ntrain#random_transforms: []\n")
    source, data = find_bundle("cxr_lung_segmentation"), Datalist("films", list(LUNG.values()))
    wishes = Wishes.of(str(path), None, resume=False)
    with pytest.raises(InvalidOption, match="not normalised, while validation and"):
        copied(source, tmp_path / "copy", data, tmp_path / "d.json", {}, wishes, lambda: None)
    assert not (tmp_path / "copy").exists()
