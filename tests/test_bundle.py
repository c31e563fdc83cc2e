from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.bundle import (
    Bundle,
    checked_overrides,
    copy_bundle,
    find_bundle,
    parse_overrides,
    shipped_bundles,
    without_mirroring,
)
from pipeline.bundle import find as find_module
from pipeline.bundle.editing import rewrite_config
from pipeline.errors import InvalidBundle, InvalidOption, OutputExists

LUNG = {0: "background", 1: "lung"}
SIDES = {0: "background", 1: "right lung", 2: "left lung: upper", 3: "no", 4: "Größe"}
METADATA = {
    "name": "x",
    "label_classes": "single channel, 0 background, 1 lung",
    "pred_classes": "two channels",
    "network_data_format": {"outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "lung"}}}},
}
TRAIN = "# why\nseed: 0\nlabels: {0: background, 1: lung}    # the classes\nmax_epochs: 80\nout: '$len(@labels)'\n"


def make(root: Path, **files: str | dict[str, Any] | None) -> Bundle:
    """A bundle of small files; names as in `configs`, with __ for the point; None leaves one out."""
    contents: dict[str, Any] = {"train__yaml": TRAIN, "inference__yaml": TRAIN, "metadata__json": METADATA, **files}
    (root / "configs").mkdir(parents=True)
    for name, content in contents.items():
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (root / "configs" / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return Bundle(root.resolve(), root.name)


# --- finding ---


def test_a_bundle_is_found_by_its_path(tmp_path: Path) -> None:
    made = make(tmp_path / "mine")
    assert find_bundle(str(tmp_path / "mine")) == made
    assert made.name == "mine"


def test_a_bundle_is_found_by_a_relative_path_and_then_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    assert find_bundle(".") == made
    assert find_bundle("../mine/").root == made.root


def test_a_bundle_under_bundles_in_the_working_folder_comes_before_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = find_bundle("cxr_lung_segmentation")
    assert shipped.root == shipped_bundles()["cxr_lung_segmentation"].resolve()
    own = make(tmp_path / "bundles" / "cxr_lung_segmentation")
    assert find_bundle("cxr_lung_segmentation") == own


@pytest.mark.parametrize(
    ("folder", "given", "typed"),
    [
        ("bundles/mine", "mine", "mine"),
        ("runs/mine", "runs/mine", "runs/mine"),
        ("my bundle", "my bundle", "'my bundle'"),
        ("runs/cxr_lung_segmentation", "runs/cxr_lung_segmentation", "runs/cxr_lung_segmentation"),
    ],
)
def test_what_is_said_to_be_typed_finds_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, given: str, typed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / folder)
    bundle = find_bundle(given)
    assert bundle.typed == typed
    assert find_bundle(*shlex.split(bundle.typed)) == bundle
    monkeypatch.chdir("/")
    assert find_bundle(*shlex.split(bundle.typed)) == bundle


def test_a_shipped_bundle_is_typed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_bundle("cxr_lung_segmentation").typed == "cxr_lung_segmentation"


def test_a_name_that_is_none_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidBundle, match=r"There is no bundle 'cxr_lungs'\. .*cxr_lung_segmentation"):
        find_bundle("cxr_lungs")


def test_a_folder_without_configs_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"not a bundle, it has no folder `configs`"):
        find_bundle(str(tmp_path))


def test_an_installed_package_finds_the_bundles_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "pipeline" / "_shipped" / "bundles" / "inside")
    (tmp_path / "pipeline" / "_shipped" / "bundles" / "no_bundle").mkdir()
    monkeypatch.setattr(find_module, "__file__", str(tmp_path / "pipeline" / "bundle" / "find.py"))
    assert list(shipped_bundles()) == ["inside"]


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_configs_may_be_yaml_or_json(tmp_path: Path, suffix: str) -> None:
    labels = {"labels": {"0": "background", "1": "lung"}}
    made = make(tmp_path / "b", **{"train__yaml": None, f"train__{suffix}": labels})
    assert made.config("train").name == f"train.{suffix}"
    assert made.labels("train") == LUNG


def test_a_missing_config_is_told_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidBundle, match=r"no configs/evaluate\.yaml; .*inference\.yaml, metadata\.json, train\.yaml"
    ):
        make(tmp_path / "b").config("evaluate")


@pytest.mark.parametrize(
    "text", ["seed: 1\n", "labels: 3\n", "labels: [a, b]\n", "labels: {x: y}\n", "labels: {0: a\n", ""]
)
def test_labels_that_cannot_be_read_are_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidBundle, match=r"inference\.yaml: no readable `labels`"):
        make(tmp_path / "b", inference__yaml=text).labels()


def test_the_shipped_bundle_is_consistent() -> None:
    shipped = find_bundle("cxr_lung_segmentation")
    metadata = json.loads(shipped.metadata.read_text(encoding="utf-8"))
    output = metadata["network_data_format"]["outputs"]["pred"]
    for kind in ("train", "evaluate", "inference"):
        labels = shipped.labels(kind)
        assert labels == LUNG
        assert output["channel_def"] == {str(index): name for index, name in labels.items()}
    assert shipped.tracking is not None
    assert shipped.weights == shipped.root / "models" / "model.pt"


# --- copying ---


def test_a_copy_has_code_and_configs_and_no_weights_data_or_results(tmp_path: Path) -> None:
    made = make(tmp_path / "source")
    products = ["models/model.pt", "eval/cases.csv", "data/a.png", "mlruns/x", ".git/x", "scripts/__pycache__/net.pyc"]
    for name in (*products, "docs/README.md", "docs/data/table.csv", "scripts/net.py"):
        path = made.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    copy = copy_bundle(made, tmp_path / "runs" / "copy", LUNG)
    assert copy == Bundle((tmp_path / "runs" / "copy").resolve(), "copy")
    found = {str(path.relative_to(copy.root)) for path in copy.root.rglob("*") if path.is_file()}
    assert found == {
        "configs/train.yaml",
        "configs/inference.yaml",
        "configs/metadata.json",
        "docs/README.md",
        "docs/data/table.csv",
        "scripts/net.py",
    }
    assert (copy.root / "models").is_dir()
    assert (made.root / "models" / "model.pt").exists()
    assert [path.name for path in copy.root.parent.iterdir()] == ["copy"]


def test_what_is_said_of_the_originals_networks_is_not_said_of_a_training(tmp_path: Path) -> None:
    facts = {"cross_validated_on_sha256": "ab", "record": {"run": "cd"}, "planned_by": "0.1.0"}
    made = make(tmp_path / "source", metadata__json=METADATA | {"planar": facts})
    copy = copy_bundle(made, tmp_path / "copy", LUNG, trained_on="other films")
    assert json.loads(copy.metadata.read_text())["planar"] == {"planned_by": "0.1.0"}


def test_with_the_same_labels_the_configs_are_copied_to_the_letter(tmp_path: Path) -> None:
    copy = copy_bundle(make(tmp_path / "source"), tmp_path / "copy", LUNG)
    assert copy.config("train").read_text() == TRAIN
    assert json.loads(copy.metadata.read_text()) == METADATA


def test_other_labels_change_every_config_and_the_metadata_alike(tmp_path: Path) -> None:
    made = make(tmp_path / "source", evaluate__yaml=TRAIN, tracking__json={"configs": {"labels": "@labels"}})
    copy = copy_bundle(made, tmp_path / "copy", SIDES)
    for kind in ("train", "evaluate", "inference"):
        assert copy.labels(kind) == SIDES
        text = copy.config(kind).read_text(encoding="utf-8")
        assert [line for line in text.splitlines() if not line.startswith("labels")] == [
            line for line in TRAIN.splitlines() if not line.startswith("labels")
        ]
        assert "# the classes" in text
    metadata = json.loads(copy.metadata.read_text(encoding="utf-8"))
    assert metadata["network_data_format"]["outputs"]["pred"] == {
        "num_channels": 5,
        "channel_def": {"0": "background", "1": "right lung", "2": "left lung: upper", "3": "no", "4": "Größe"},
    }
    named = "0 background, 1 right lung, 2 left lung: upper, 3 no, 4 Größe"
    assert metadata["label_classes"] == f"single channel, {named}"
    # What it was called spoke of other classes.
    assert metadata["name"] == "Segmentation of right lung, left lung: upper, no, Größe"
    assert metadata["pred_classes"] == f"5 channels, {named}"
    assert json.loads((copy.root / "configs" / "tracking.json").read_text())["configs"]["labels"] == "@labels"
    assert made.labels("train") == LUNG


def test_the_name_stays_where_classes_differ_by_a_capital_alone(tmp_path: Path) -> None:
    copy = copy_bundle(make(tmp_path / "source"), tmp_path / "copy", {0: "background", 1: "Lung"})
    metadata = json.loads(copy.metadata.read_text(encoding="utf-8"))
    assert metadata["name"] == "x"
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] == "Lung"


def test_the_copy_of_a_copy_takes_other_labels_too(tmp_path: Path) -> None:
    many = {0: "background"} | {index: f"a class with a rather long name {index}" for index in range(1, 12)}
    first = copy_bundle(make(tmp_path / "source"), tmp_path / "first", many)
    assert first.labels("inference") == many
    second = copy_bundle(first, tmp_path / "second", LUNG)
    # The comment behind the labels may have moved.
    assert re.sub(" +", " ", second.config("train").read_text()) == re.sub(" +", " ", TRAIN)


@pytest.mark.parametrize(
    "labels",
    [
        "labels:\n  0: background\n  1: lung\n",
        "labels: {0: background,\n  1: lung}\n",
        "labels:   {0: background, 1: lung}\n",
    ],
)
def test_labels_may_be_written_in_several_lines(tmp_path: Path, labels: str) -> None:
    config = f"seed: 0\n{labels}max_epochs: 80\n"
    copy = copy_bundle(make(tmp_path / "source", inference__yaml=config), tmp_path / "copy", SIDES)
    assert yaml.safe_load(copy.config("inference").read_text()) == {"seed": 0, "labels": SIDES, "max_epochs": 80}


def test_json_configs_take_other_labels_too(tmp_path: Path) -> None:
    content = {"labels": {"0": "background", "1": "lung"}, "x": "@labels"}
    made = make(tmp_path / "source", train__yaml=None, train__json=content)
    copy = copy_bundle(made, tmp_path / "copy", SIDES)
    assert copy.labels("train") == SIDES
    assert json.loads(copy.config("train").read_text())["x"] == "@labels"


def test_labels_that_are_an_alias_take_other_labels_too(tmp_path: Path) -> None:
    anchored = "known: &known {0: background, 1: lung}\nlabels: *known\n"
    copy = copy_bundle(make(tmp_path / "source", inference__yaml=anchored), tmp_path / "copy", SIDES)
    assert yaml.safe_load(copy.config("inference").read_text()) == {"known": LUNG, "labels": SIDES}


def test_a_config_that_cannot_be_edited_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"^inference\.yaml: cannot be read"):
        copy_bundle(make(tmp_path / "source", inference__yaml="labels: {0: [\n"), tmp_path / "copy", SIDES)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_settings_go_into_each_config_that_has_the_key(tmp_path: Path) -> None:
    network = "network_def: {norm: INSTANCE, channels: [16, 32]}"
    inference = f"size: [256, 256]   # pixels\n{network}\nlabels: {{0: background, 1: lung}}\n"
    made = make(tmp_path / "source", inference__yaml=inference)
    settings = {"size": [64, 64], "network_def#norm": "BATCH", "network_def#channels#1": 8, "max_epochs": 3}
    copy = copy_bundle(made, tmp_path / "copy", LUNG, settings)
    text = copy.config("inference").read_text()
    assert yaml.safe_load(text) == {
        "size": [64, 64],
        "network_def": {"norm": "BATCH", "channels": [16, 8]},
        "labels": LUNG,
    }
    assert "# pixels" in text
    assert yaml.safe_load(copy.config("train").read_text())["max_epochs"] == 3


def test_a_setting_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="there is no 'nowhere'"):
        copy_bundle(make(tmp_path / "source"), tmp_path / "copy", LUNG, {"labels#nowhere#x": 1})


def test_a_copy_no_longer_speaks_of_the_data_of_its_source(tmp_path: Path) -> None:
    made = make(tmp_path / "source")
    (made.root / "docs").mkdir()
    (made.root / "docs" / "README.md").write_text("Dice 0.99 on Shenzhen")
    copy = copy_bundle(made, tmp_path / "copy", LUNG, trained_on="my films (12 training cases)")
    assert "Shenzhen" not in (copy.root / "docs" / "README.md").read_text()
    assert json.loads(copy.metadata.read_text())["data_source"] == "my films (12 training cases)"


def test_metadata_without_the_output_is_refused_and_none_at_all_is_fine(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"^metadata\.json: does not describe the output `pred`"):
        copy_bundle(make(tmp_path / "a", metadata__json={"version": "1"}), tmp_path / "copy", SIDES)
    copy = copy_bundle(make(tmp_path / "b", metadata__json=None), tmp_path / "copy", SIDES)
    assert not copy.metadata.exists()


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path: Path) -> None:
    made = make(tmp_path / "source")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for taken in ("copy", "file"):
        with pytest.raises(OutputExists, match=f"{taken} exists"):
            copy_bundle(made, tmp_path / taken, LUNG)
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path / "source")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    copy = copy_bundle(made, Path(), LUNG)
    assert copy == Bundle((tmp_path / "here").resolve(), "here")
    assert sorted(os.listdir()) == ["configs", "models"]  # noqa: PTH208 - of the working folder itself


def test_what_a_stopped_copy_left_is_cleared_away(tmp_path: Path) -> None:
    made = make(tmp_path / "source")
    (tmp_path / ".part-copy" / "configs").mkdir(parents=True)
    (tmp_path / ".part-copy" / "configs" / "stale.yaml").write_text("x")
    copy = copy_bundle(made, tmp_path / "copy", LUNG)
    assert not (copy.root / "configs" / "stale.yaml").exists()
    assert not (tmp_path / ".part-copy").exists()


# --- overrides ---


@pytest.fixture
def config(tmp_path: Path) -> Path:
    text = "max_epochs: 80\nlearning_rate: 0.1\ndevice: cpu\nsplit: test\ntrain: {trainer: {}}\nimage_size: [1, 2]\n"
    return make(tmp_path / "b", train__yaml=text, tracking__json={"configs": {"run_name": None}}).config("train")


@pytest.mark.parametrize(
    ("pair", "key", "value"),
    [
        ("max_epochs=5", "max_epochs", 5),
        ("learning_rate=0.01", "learning_rate", 0.01),
        ("learning_rate=1e-3", "learning_rate", 0.001),
        ("learning_rate=5E4", "learning_rate", 50000.0),
        ("learning_rate=.5e-2", "learning_rate", 0.005),
        ("image_size=[1e2, 3, 1e]", "image_size", [100.0, 3, "1e"]),
        ("image_size=[512, 512]", "image_size", [512, 512]),
        ("device=cuda:0", "device", "cuda:0"),
        ("device=$torch.device('cpu')", "device", "$torch.device('cpu')"),
        ("split=a=b", "split", "a=b"),
        ("split=", "split", None),
        ("split=e5", "split", "e5"),
        ("train#trainer#amp=true", "train#trainer#amp", True),
        ("train::trainer::amp=false", "train::trainer::amp", False),
        ("run_name=third try", "run_name", "third try"),
    ],
)
def test_values_are_read_as_yaml(config: Path, pair: str, key: str, value: object) -> None:
    found = parse_overrides((pair,), config)
    assert found == {key: value}
    assert type(found[key]) is type(value)


def test_several_overrides_and_none(config: Path) -> None:
    assert parse_overrides((), config) == {}
    assert parse_overrides(("max_epochs=1", "max_epochs=2", "device=cpu"), config) == {"max_epochs": 2, "device": "cpu"}


def test_a_mistyped_key_gets_the_nearest(config: Path) -> None:
    with pytest.raises(InvalidOption, match=r"'max_epoch' is no key of train\.yaml\. Did you mean 'max_epochs'\?"):
        parse_overrides(("max_epoch=5",), config)


def test_a_word_is_no_number_and_a_reference_may_be_one(config: Path) -> None:
    with pytest.raises(InvalidOption, match=r"'max_epochs=one': max_epochs is a number, such as \d+; 'one' is none"):
        parse_overrides(("max_epochs=one",), config)
    assert parse_overrides(("max_epochs=$2 + 3",), config) == {"max_epochs": "$2 + 3"}


def test_a_key_like_no_other_gets_the_list(config: Path) -> None:
    with pytest.raises(InvalidOption, match=r"'qqqq' is no key of train\.yaml\. Its keys: max_epochs, learning_rate, "):
        parse_overrides(("qqqq#x=5",), config)


@pytest.mark.parametrize("pair", ["max_epochs", "=5", ""])
def test_what_is_no_pair_is_told(config: Path, pair: str) -> None:
    with pytest.raises(InvalidOption, match=r"is not an override; expected key=value"):
        parse_overrides((pair,), config)


def test_a_value_that_is_no_yaml_is_told_in_one_line(config: Path) -> None:
    with pytest.raises(InvalidOption, match=r"The value of 'image_size=\[1, 2' is not YAML") as caught:
        parse_overrides(("image_size=[1, 2",), config)
    assert "\n" not in str(caught.value)


def test_a_key_that_an_option_sets_is_told_with_the_option(config: Path) -> None:
    for pair in ("split=validation", "split#x=1"):
        with pytest.raises(InvalidOption, match=rf"'split' is set by --split: use that instead of '{pair}'"):
            parse_overrides((pair,), config, {"split": "--split"})
    assert parse_overrides(("max_epochs=1",), config, {"split": "--split"}) == {"max_epochs": 1}


def test_a_reference_to_another_key_is_taken_as_it_is(config: Path) -> None:
    assert parse_overrides(("max_epochs=@train#epochs",), config) == {"max_epochs": "@train#epochs"}


def test_overrides_run_no_code(config: Path) -> None:
    with pytest.raises(InvalidOption, match="is not YAML"):
        parse_overrides(("device=!!python/object/apply:os.getcwd []",), config)


@pytest.fixture
def sized(tmp_path: Path) -> Path:
    text = (
        "max_epochs: 80\nval_interval: 2\nbatch_size: 8\nlearning_rate: 0.1\nimage_size: [320, 320]\n"
        "num_workers: 0\npatience: '@max_epochs'\ntest_time_flips: [[], [0]]\nrefinement: []\ncache_rate: $1 / 2\n"
        "train: {dataloader: {batch_size: '@batch_size'}}\nnetwork_def: {channels: [4, 8], norm: [GROUP, {}]}\n"
    )
    return make(tmp_path / "b", train__yaml=text).config("train")


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("batch_size=0", r"'batch_size=0': batch_size is a whole number from 1, such as 8\."),
        ("batch_size=2.5", r"'batch_size=2\.5': batch_size is a whole number from 1"),
        ("batch_size=", r"batch_size is a whole number from 1"),
        ("batch_size=true", r"batch_size is a whole number from 1"),
        ("train#dataloader#batch_size=0", r"train#dataloader#batch_size is a whole number from 1\."),
        ("max_epochs=-1", r"max_epochs is a whole number from 1, such as 80"),
        ("val_interval=0", r"val_interval is a whole number from 1, such as 2"),
        ("patience=0", r"patience is a whole number from 1\."),
        ("patience=long", r"'patience=long': patience is a whole number from 1\."),
        ("learning_rate=-1", r"'learning_rate=-1': learning_rate is a number from 0, such as 0\.1"),
        ("learning_rate=.nan", r"learning_rate is a number from 0"),
        ("cache_rate=-0.5", r"cache_rate is a number from 0\."),
        ("num_workers=-1", r"num_workers is a whole number from 0, such as 0"),
        ("image_size=64", r"'image_size=64': image_size is a list of 2 numbers, such as \[320, 320\]"),
        ("image_size=[64]", r"image_size is a list of 2 numbers"),
        ("image_size=[64, 64, 64]", r"image_size is a list of 2 numbers"),
        ("image_size=[64, 0]", r"image_size is a list of whole numbers from 1"),
        ("image_size=[64, 6e]", r"image_size is a list of whole numbers from 1"),
        ("test_time_flips=0", r"test_time_flips is a list, such as \[\[\], \[0\]\]"),
    ],
)
def test_a_value_that_cannot_be_is_told(sized: Path, pair: str, says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        checked_overrides((pair,), sized)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("batch_size=1", 1),
        ("batch_size=$2 * 3", "$2 * 3"),
        ("learning_rate=0.0", 0.0),
        ("num_workers=0", 0),
        ("num_workers=2", 2),
        ("image_size=[64, 96]", [64, 96]),
        ("image_size=$[2 * 32] * 2", "$[2 * 32] * 2"),
        ("test_time_flips=[[]]", [[]]),
        ("refinement=[{_target_: X}]", [{"_target_": "X"}]),
        ("network_def#channels=[4, 8, 16]", [4, 8, 16]),
        ("network_def#norm=BATCH", "BATCH"),
        ("cache_rate=0", 0),
    ],
)
def test_a_value_that_can_be_is_taken(sized: Path, pair: str, value: object) -> None:
    assert checked_overrides((pair,), sized) == {pair.partition("=")[0]: value}


ZSCORE = '["@validate#normalise"]'


@pytest.mark.parametrize("name", ["cxr_lung_segmentation", "tomo_pore_segmentation"])
@pytest.mark.parametrize("key", ["train#random_transforms", "train::random_transforms"])
def test_a_training_without_augmentation_still_normalises(name: str, key: str) -> None:
    config = find_bundle(name).config("train")
    with pytest.raises(InvalidOption, match="not normalised, while validation and") as told:
        checked_overrides((f"{key}=[]",), config)
    # What it says to give is taken.
    said = str(told.value).partition("augmentation: '")[2].removesuffix("'.")
    assert len(checked_overrides((said,), config)["train#random_transforms"]) == 1
    for pairs in (
        (f"{key}=[]", "validate#preprocessing#transforms=@train#deterministic_transforms"),
        (f"{key}={ZSCORE}",),
    ):
        assert key in checked_overrides(pairs, config)
    assert checked_overrides((f"{key}=[]",), config, also=["validate"]) == {key: []}


def test_a_list_of_many_lines_is_replaced_by_an_empty_one(tmp_path: Path) -> None:
    """A comment before its first entry stayed behind the empty list, without the end of its line."""
    source = find_bundle("ct_chest_segmentation")
    empty = {"train#random_transforms": [], "refinement": []}
    copy = copy_bundle(source, tmp_path / "copy", source.labels(), empty)
    for kind in ("train", "multi_gpu_train", "evaluate", "inference"):
        before, after = (yaml.safe_load(one.config(kind).read_text()) for one in (source, copy))
        if "train" in before:
            before["train"]["random_transforms"] = []
        if "refinement" in before:
            before["refinement"] = []
        assert after == before


# --- left and right ---


def test_a_copy_with_sided_classes_mirrors_nothing(tmp_path: Path) -> None:
    source, sided = find_bundle("cxr_lung_segmentation"), {0: "background", 1: "left_lung", 2: "Right lung"}
    copy = copy_bundle(source, tmp_path / "copy", sided, without_mirroring(source, sided))
    for kind in ("train", "multi_gpu_train"):
        steps = yaml.safe_load(copy.config(kind).read_text())["train"]["random_transforms"]
        flips = [step for step in steps if isinstance(step, dict) and step["_target_"] == "RandFlipd"]
        assert [step["prob"] for step in flips] == [0.0]
        assert all(
            step.get("prob", 1) > 0 for step in steps if isinstance(step, dict) and step["_target_"] != "RandFlipd"
        )
    for kind in ("inference", "evaluate"):
        assert yaml.safe_load(copy.config(kind).read_text())["test_time_flips"] == [[]]


def test_flips_from_top_to_bottom_mirror_too(tmp_path: Path) -> None:
    source = find_bundle("cells_wbc_segmentation")
    sided = {0: "background", 1: "left_pore", 2: "right_pore"}
    steps = yaml.safe_load(source.config("train").read_text())["train"]["random_transforms"]
    flips = [number for number, step in enumerate(steps) if isinstance(step, dict) and "Flip" in step["_target_"]]
    assert {steps[number]["spatial_axis"] for number in flips} == {0, 1}
    off = {f"train#random_transforms#{number}#prob": 0.0 for number in flips}
    assert without_mirroring(source, sided) == {"test_time_flips": [[]], **off}


def test_classes_without_a_side_are_mirrored_as_the_bundle_says() -> None:
    assert without_mirroring(find_bundle("cxr_lung_segmentation"), {0: "background", 1: "bright spot"}) == {}


@pytest.mark.parametrize("value", [1e-5, 5e-05, 1.5e-7, 2e20, 0.1, 1.0, float("inf")])
def test_a_number_that_is_written_into_a_config_is_a_number_when_it_is_read(tmp_path: Path, value: float) -> None:
    """YAML 1.1, which MONAI reads, takes 1e-05 for text."""
    copy = copy_bundle(make(tmp_path / "b"), tmp_path / "copy", LUNG, {"max_epochs": value, "seed": [value, -value]})
    written = yaml.safe_load(copy.config("train").read_text())
    assert written["max_epochs"] == value
    assert written["seed"] == [value, -value]


def test_a_config_is_rewritten_with_its_comments(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")

    def change(content: Any) -> bool:
        content["max_epochs"] = 3
        content.yaml_set_comment_before_after_key("max_epochs", before="shorter")
        return True

    rewrite_config(bundle.config("train"), change)
    text = bundle.config("train").read_text()
    assert "# why" in text
    assert "# shorter\nmax_epochs: 3" in text
    before = bundle.config("train").stat().st_mtime_ns
    rewrite_config(bundle.config("train"), lambda content: False)
    assert bundle.config("train").stat().st_mtime_ns == before


def test_what_the_task_spec_said_of_sides_counts_for_the_bundles_own_classes(tmp_path: Path) -> None:
    labels = {0: "background", 1: "left_lung", 2: "right_lung"}
    copy = copy_bundle(find_bundle("cxr_lung_segmentation"), tmp_path / "copy", labels)
    assert without_mirroring(copy, labels)
    metadata = json.loads(copy.metadata.read_text())
    metadata["planar"]["sides"] = False
    copy.metadata.write_text(json.dumps(metadata))
    assert without_mirroring(copy, labels) == {}
    assert without_mirroring(copy, {0: "background", 1: "lung_l", 2: "lung_r"})


def test_a_copy_whose_classes_are_written_in_other_letters_keeps_their_rules(tmp_path: Path) -> None:
    source = copy_bundle(find_bundle("cxr_lung_segmentation"), tmp_path / "a", {0: "background", 1: "rim", 2: "cup"})
    rules = "# mine\nclasses:\n  rim: {objects: [1, 1]}\n  cup: {inside: rim}  # always\n"
    (source.root / "configs" / "quality.yaml").write_text(rules)
    copy = copy_bundle(source, tmp_path / "b", {0: "background", 1: "Rim", 2: "Cup"})
    expected = rules.replace("rim", "Rim").replace("cup:", "Cup:")
    assert yaml.safe_load((copy.root / "configs" / "quality.yaml").read_text()) == yaml.safe_load(expected)


def test_a_copy_keeps_nothing_of_the_machine_that_trained_it(tmp_path: Path) -> None:
    source = find_bundle("cxr_lung_segmentation")
    settings = {"device": "cuda:1", "num_workers": 3, "cache_rate": 0.5, "batch_size": 6}
    copy = copy_bundle(source, tmp_path / "copy", source.labels(), settings)
    for kind in ("train", "multi_gpu_train", "evaluate", "inference"):
        before, after = (yaml.safe_load(one.config(kind).read_text()) for one in (source, copy))
        for key in ("device", "num_workers", "cache_rate"):
            assert after.get(key) == before.get(key)
    assert yaml.safe_load(copy.config("train").read_text())["batch_size"] == 6
    several = yaml.safe_load(copy.config("multi_gpu_train").read_text())
    assert several["batch_size"] == "$max(1, 6 // dist.get_world_size())"
