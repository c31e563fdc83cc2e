"""What a task spec asks for beside its classes: a window for Hounsfield units, neighbouring slices, unions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from monai.bundle import ConfigParser

from pipeline.errors import InvalidOption
from pipeline.fingerprint import Fingerprint
from pipeline.planning import PlanOptions, TaskSpec, bundle_files, make_plan, read_task_spec
from pipeline.planning.refinement import choose_refinement

SPEC = "name: x\nmodality: CT\nlabels: [background, lung]\nmasks: threshold:127\n"
Made = Callable[..., dict[str, Any]]


def spec(folder: Path, more: str = "", labels: str = "") -> TaskSpec:
    path = folder / "task.yaml"
    path.write_text((SPEC.replace("[background, lung]", labels) if labels else SPEC) + more, encoding="utf-8")
    return read_task_spec(path)


def configs(document: dict[str, Any], task: TaskSpec) -> dict[str, Any]:
    files = bundle_files(make_plan(Fingerprint(document), task, PlanOptions()), "x_segmentation", {"classes": {}})
    return {
        name.removeprefix("configs/"): yaml.safe_load(text)
        for name, text in files.items()
        if name.endswith((".yaml", "metadata.json", "tracking.json"))
    }


def targets(steps: list[dict[str, Any]]) -> list[str]:
    return [step["_target_"].rpartition(".")[2] for step in steps]


def test_slices_for_the_screen_have_their_window_in_all_configs(fingerprint: Made, tmp_path: Path) -> None:
    made = configs(fingerprint(modality="CT"), spec(tmp_path, "window_hu: [-1000, 400]\n"))
    lists = [
        made["train.yaml"]["train"]["deterministic_transforms"],
        made["evaluate.yaml"]["image_preprocessing"]["transforms"],
        made["inference.yaml"]["preprocessing"]["transforms"],
    ]
    for steps in lists:
        names = targets(steps)
        assert names.index("AsChannelsd") < names.index("HUWindowd") < names.index("ScaleIntensityRangePercentilesd")
        step = steps[names.index("HUWindowd")]
        assert (step["keys"], step["window_hu"]) == ("image", [-1000.0, 400.0])


def test_slices_in_hounsfield_units_need_no_other_window(fingerprint: Made, tmp_path: Path) -> None:
    document = fingerprint(modality="CT", intensity=(-400, 400), inside=(-800, 50))
    made = configs(document, spec(tmp_path, "window_hu: [-1000, 400]\n"))
    assert "HUWindowd" not in targets(made["inference.yaml"]["preprocessing"]["transforms"])


@pytest.mark.parametrize("window", ["wide", "[1]", "[400, -1000]", "[a, b]"])
def test_a_window_that_is_none_is_one_clear_line(window: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="window_hu is"):
        spec(tmp_path, f"window_hu: {window}\n")


def test_neighbouring_slices_are_channels_in_all_configs(fingerprint: Made, tmp_path: Path) -> None:
    made = configs(fingerprint(modality="CT"), spec(tmp_path, "neighbours: 1\n"))
    loaders = [
        made["train.yaml"]["train"]["deterministic_transforms"][0],
        made["evaluate.yaml"]["image_preprocessing"]["transforms"][0],
        made["inference.yaml"]["preprocessing"]["transforms"][0],
    ]
    assert [loader["neighbours"] for loader in loaders] == [1, 1, 1]
    assert all(made[f"{kind}.yaml"]["network_def"]["in_channels"] == 3 for kind in ("train", "evaluate", "inference"))
    picture = made["metadata.json"]["network_data_format"]["inputs"]["image"]
    assert (picture["num_channels"], picture["format"]) == (3, "magnitude")
    assert picture["channel_def"] == {"0": "slice -1", "1": "slice", "2": "slice +1"}
    assert made["tracking.json"]["configs"]["validation_pictures"]["channel"] == 1


def test_without_neighbours_the_loader_is_as_it_was(fingerprint: Made, tmp_path: Path) -> None:
    made = configs(fingerprint(modality="CT"), spec(tmp_path))
    assert "neighbours" not in str(made)
    assert "unions" not in str(made)


@pytest.mark.parametrize("value", ["-1", "6", "1.5", "true", "all"])
def test_a_number_of_neighbours_that_is_none_is_one_clear_line(value: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="neighbours is"):
        spec(tmp_path, f"neighbours: {value}\n")


def test_unions_with_class_weights_have_a_loss_without_them(fingerprint: Made, tmp_path: Path) -> None:
    document = fingerprint(labels=("background", "rim", "cup"))
    document["classes"]["cup"]["pixel_share"] = 0.0004
    task = spec(tmp_path, "unions: {disc: [rim, cup]}\n", "[background, rim, cup]")
    config = configs(document, task)["train.yaml"]
    assert config["unions"] == {3: [1, 2]}
    assert config["loss"]["_target_"] == "pipeline.unions.UnionLoss"
    assert "weight" in config["loss"]["loss"]
    assert "weight" not in config["loss"]["partial"]
    decode = next(step for step in config["train"]["deterministic_transforms"] if "n_classes" in step)
    assert decode["n_classes"] == "$len(@labels) + len(@unions)"


def test_unions_and_deep_supervision_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="do not go together"):
        spec(tmp_path, "unions: {disc: [rim, cup]}\ndeep_supervision: true\n", "[background, rim, cup]")


def test_a_class_that_pictures_hardly_lack_is_emptied_in_training_alone(fingerprint: Made, tmp_path: Path) -> None:
    made = configs(fingerprint(modality="CT"), spec(tmp_path, "emptied: {lung: 0.15}\n"))
    first = made["train.yaml"]["train"]["random_transforms"][0]
    assert first["_target_"] == "pipeline.transforms.RandEmptiedd"
    assert (first["keys"], first["classes"], first["prob"], first["mask_key"]) == ("image", [1], 0.15, "label")
    for name in ("evaluate.yaml", "inference.yaml"):
        assert "RandEmptiedd" not in yaml.safe_dump(made[name])


@pytest.mark.parametrize(
    "shares", ["0.15", "[lung]", "{heart: 0.1}", "{lung: 1.5}", "{lung: often}", "{background: 0.1}"]
)
def test_shares_that_are_none_are_one_clear_line(shares: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"emptied is .*; expected a share between 0 and 1 for some of lung\."):
        spec(tmp_path, f"emptied: {shares}\n")


def test_what_is_known_of_regions_is_done_to_finished_masks(fingerprint: Made, tmp_path: Path) -> None:
    made = configs(fingerprint(modality="CT"), spec(tmp_path, "regions: {lung: {most: 1, least: 0.02}}\n"))
    assert made["inference.yaml"]["refinement"] == made["evaluate.yaml"]["refinement"]
    mask = torch.zeros(1, 20, 20)
    mask[0, 2:8, 2:8] = 1  # 36 pixels of 400
    mask[0, 12:16, 12:16] = 1  # 16
    mask[0, 18, 18] = 1
    steps = made["inference.yaml"]["refinement"]
    assert targets(steps) == ["RemoveSmallRegionsd", "KeepLargestConnectedComponentd"]
    assert [int(refined(steps[:1], mask).sum()), int(refined(steps, mask).sum())] == [52, 36]
    speck = torch.zeros(1, 20, 20)
    speck[0, 1, 1] = 1
    assert not refined(steps, speck).any()


def test_the_regions_of_a_union_are_those_of_its_classes_together(tmp_path: Path) -> None:
    more = "unions: {disc: [rim, cup]}\nregions: {disc: {most: 1}}\n"
    task = spec(tmp_path, more, "[background, rim, cup]")
    steps = [dict(one.step) for one in choose_refinement(task.regions, task.labels, task.unions)]
    mask = torch.zeros(1, 20, 20)
    mask[0, 2:8, 2:8], mask[0, 4:6, 4:6] = 1, 2
    disc = mask.clone()
    mask[0, 12:17, 12:17] = 2  # a larger cup than the disc's own, of a smaller region
    assert torch.equal(refined(steps, mask), disc)


@pytest.mark.parametrize(
    "regions", ["2", "[lung]", "{heart: {most: 1}}", "{lung: 1}", "{lung: {}}", "{lung: {most: 0}}",
                "{lung: {least: 2}}", "{lung: {few: 1}}", "{lung: {most: 1.5}}"]
)  # fmt: skip
def test_regions_that_are_none_are_one_clear_line(regions: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"regions of .* expected most \(a number of regions\) for some of lung"):
        spec(tmp_path, f"regions: {regions}\n")


def refined(steps: list[dict[str, Any]], mask: torch.Tensor) -> torch.Tensor:
    parser = ConfigParser({"steps": {"_target_": "Compose", "transforms": steps}})
    return torch.as_tensor(parser.get_parsed_content("steps")({"pred": mask.clone()})["pred"])


@pytest.mark.parametrize(
    ("more", "called"), [("", False), ("precision: auto\n", False), ("precision: float32\n", True)]
)
def test_thin_classes_are_found_in_float32_and_learnt_as_ever(
    fingerprint: Made, tmp_path: Path, more: str, called: bool
) -> None:
    made = configs(fingerprint(), spec(tmp_path, more))
    for name in ("inference.yaml", "evaluate.yaml"):
        assert made[name].get("autocast", True) is not called
        assert ("@autocast" in made[name]["network"]) == called
    assert "autocast" not in made["train.yaml"]


def test_a_precision_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="precision is 'float16'; expected auto or float32"):
        spec(tmp_path, "precision: float16\n")
