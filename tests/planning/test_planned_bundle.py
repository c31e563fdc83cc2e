"""The bundle that a plan is written as."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from monai.bundle import ConfigParser

from pipeline.errors import OutputExists
from pipeline.fingerprint import Fingerprint
from pipeline.labels import LabelCoding
from pipeline.planning import PlanOptions, TaskSpec, bundle_files, make_plan, write_bundle
from pipeline.planning.choice import flow
from pipeline.planning.write import TESTED

Maker = Callable[..., dict[str, Any]]
RULES = {"classes": {"lung": {"objects": [2, 2], "border": 0.1}}}
TASK = TaskSpec("a_task", ("background", "lung"), LabelCoding.parse("index"))
ROOT = Path(__file__).parent.parent.parent


def files(document: dict[str, Any], *labels: str, deep_supervision: bool | None = None) -> dict[str, str]:
    spec = TaskSpec(
        "a_task",
        ("background", *labels),
        LabelCoding.parse("index"),
        description="A task",
        deep_supervision=deep_supervision,
    )
    return bundle_files(make_plan(Fingerprint(document), spec, PlanOptions()), "a_task_segmentation", RULES)


@pytest.fixture
def kinds(fingerprint: Maker, class_of: Callable[..., dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Bundles of every kind: films, sides, colour, patches, spacing, weights, deep supervision."""
    pores = class_of(9000, 16, 40, 768, 0.015)
    rare = {"lung": class_of(60_000, 200, 2, 512, 0.23), "trachea": class_of(900, 34, 1, 512, 0.0035)}
    return {
        "film": files(fingerprint(), "lung"),
        "sides": files(fingerprint(labels=("background", "left", "right")), "left", "right"),
        "colour": files(fingerprint(modality="XC", channels=3, width=600, height=400), "lung"),
        "patch": files(
            fingerprint(width=768, height=768, modality="OT", cases=(9, 3, 3), classes={"lung": pores}), "lung"
        ),
        "spacing": files(fingerprint(modality="CT", spacing=0.8, intensity=(-400, 500)), "lung"),
        "weights": files(fingerprint(labels=("background", *rare), classes=rare), *rare),
        "supervised": files(fingerprint(labels=("background", *rare), classes=rare), *rare, deep_supervision=True),
    }


def test_the_same_plan_gives_the_same_bytes(fingerprint: Maker) -> None:
    assert files(fingerprint(), "lung") == files(fingerprint(), "lung")


def test_a_bundle_holds_the_fingerprint_that_it_was_planned_from_without_names_of_pictures(fingerprint: Maker) -> None:
    document = fingerprint(modality="unknown")
    pair = {"a": "smith.png", "b": "jones.png", "parts": ["training", "test"], "similarity": 0.99, "kind": "copy"}
    document["near_duplicates"] = [pair]
    written = files(document, "lung")
    assert not any("smith" in text or "jones" in text for text in written.values())
    own = Fingerprint.from_json(written["configs/fingerprint.json"])
    assert own["near_duplicates"] == [{key: pair[key] for key in ("parts", "similarity", "kind")}]
    assert files(dict(own.document), "lung") == written
    assert json.loads(written["configs/plan.json"])["fingerprint_sha256"] == own.sha256 == Fingerprint(document).sha256


def test_every_config_is_yaml_and_lines_are_short(kinds: dict[str, dict[str, str]]) -> None:
    for kind, content in kinds.items():
        for name, text in content.items():
            if name.endswith("quality.yaml"):
                assert yaml.safe_load(text) == RULES
            if name.endswith(".yaml"):
                yaml.safe_load(text)
                prose = [line for line in text.splitlines() if line.lstrip().startswith("#")]
                assert max(map(len, prose), default=0) <= 120, (kind, name)
                assert "\n\n\n" not in text, (kind, name)
            elif name.endswith(".json"):
                json.loads(text)


def test_training_evaluation_and_inference_agree_on_what_they_share(kinds: dict[str, dict[str, str]]) -> None:
    for content in kinds.values():
        train, multi, evaluate, inference = (
            yaml.safe_load(content[f"configs/{name}.yaml"])
            for name in ("train", "multi_gpu_train", "evaluate", "inference")
        )
        for key in ("image_size", "labels", "network_def"):
            assert train[key] == multi[key] == evaluate[key] == inference[key]
        assert evaluate["test_time_flips"] == inference["test_time_flips"]
        assert evaluate["image_preprocessing"] == inference["preprocessing"]


def test_each_choice_is_explained_where_it_stands(kinds: dict[str, dict[str, str]]) -> None:
    train = kinds["film"]["configs/train.yaml"]
    for key in ("max_epochs", "image_size", "network_def", "loss", "batch_size", "cache_rate", "learning_rate"):
        before, _, after = train.partition(f"\n{key}:")
        comment = before.splitlines()[-1].startswith("#") or "#" in after.splitlines()[0]
        assert comment, key


def test_patches_show_a_rare_class_as_often_as_another_and_pictures_may_lack_it(
    fingerprint: Maker, class_of: Callable[..., dict[str, Any]]
) -> None:
    grains = {"grain": class_of(90_000, 30, 40, 768, 0.15), "pore": class_of(500, 8, 10, 768, 0.0008)}
    document = fingerprint(width=768, height=768, modality="OT", labels=("background", *grains), classes=grains)
    text = files(document, *grains)["configs/train.yaml"]
    assert "# 'pore' has 0.08% of the pixels: half of the patches" in text
    step = next(step for step in yaml.safe_load(text)["train"]["cut"] if "ratios" in step)
    parser = ConfigParser({"labels": {0: "background", 1: "grain", 2: "pore"}, "image_size": [32, 32], "crop": step})
    crop = parser.get_parsed_content("crop").set_random_state(0)
    mask = np.zeros((1, 96, 96), np.uint8)
    mask[0, 40:60, 40:60] = 1
    lacking = crop({"image": mask, "label": mask})  # no warning: they are errors here
    mask[0, 10:12, 10:12] = 2
    having = [part for _ in range(50) for part in crop({"image": mask, "label": mask})]
    assert len(lacking) == 4
    assert 0.15 < np.mean([bool((part["label"] == 2).any()) for part in having]) < 0.6


def test_the_versions_are_those_of_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    assert {name: pinned[name.lower()] for name in TESTED} == TESTED


def test_a_bundle_is_not_planned_over_another_unasked_and_keeps_weights_when_asked(
    fingerprint: Maker, tmp_path: Path
) -> None:
    plan = make_plan(Fingerprint(fingerprint()), TASK, PlanOptions())
    out = tmp_path / "a_segmentation"
    write_bundle(plan, out, RULES)
    (out / "models" / "model.pt").write_bytes(b"weights")
    (out / "docs" / "README.md").write_text("my card")
    (out / "configs" / "train.yaml").write_text("edited")
    with pytest.raises(OutputExists, match="--overwrite"):
        write_bundle(plan, out, RULES)
    write_bundle(plan, out, {"classes": {}}, overwrite=True)
    assert (out / "models" / "model.pt").read_bytes() == b"weights"
    assert (out / "docs" / "README.md").read_text() == "my card"
    assert (out / "configs" / "train.yaml").read_text() == files_of(plan, out)["configs/train.yaml"]
    assert yaml.safe_load((out / "configs" / "quality.yaml").read_text()) == {"classes": {}}
    assert not list(tmp_path.glob(".part-*"))


def test_a_bundle_that_is_planned_again_keeps_its_scores_and_the_runs_that_they_are_of(
    fingerprint: Maker, tmp_path: Path
) -> None:
    plan = make_plan(Fingerprint(fingerprint()), TASK, PlanOptions())
    out = tmp_path / "a_segmentation"
    write_bundle(plan, out, RULES)
    metadata = out / "configs" / "metadata.json"
    planned = json.loads(metadata.read_text())
    scored = planned | {
        "eval_metrics": {"mean_dice": 0.9},
        "planar": planned["planar"] | {"record": {"training_run": "1a2b"}, "task": "edited"},
    }
    metadata.write_text(json.dumps(scored))
    write_bundle(plan, out, RULES, overwrite=True)
    again = json.loads(metadata.read_text())
    assert again["eval_metrics"] == {"mean_dice": 0.9}
    assert again["planar"] == planned["planar"] | {"record": {"training_run": "1a2b"}}


def test_a_planning_that_is_interrupted_leaves_the_former_bundle_as_it_was(
    fingerprint: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(Fingerprint(fingerprint()), TASK, PlanOptions())
    out = tmp_path / "a_segmentation"
    write_bundle(plan, out, RULES)
    for config in (out / "configs").iterdir():
        config.write_text("edited")
    (out / "models" / "model.pt").write_bytes(b"weights")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    write = Path.write_text

    def interrupted(path: Path, *arguments: Any, **options: Any) -> int:
        if path.name == "evaluate.yaml":
            raise KeyboardInterrupt
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(plan, out, RULES, overwrite=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["a_segmentation"]


def test_edited_rules_of_plausibility_are_kept_beside_the_planned_ones_and_told(
    fingerprint: Maker, tmp_path: Path
) -> None:
    plan = make_plan(Fingerprint(fingerprint()), TASK, PlanOptions())
    out = tmp_path / "a_segmentation"
    assert write_bundle(plan, out, RULES) == []
    assert write_bundle(plan, out, RULES, overwrite=True) == []
    quality = out / "configs" / "quality.yaml"
    quality.write_text("classes: {lung: {objects: 1}}  # mine\n")
    (note,) = write_bundle(plan, out, RULES, overwrite=True)
    assert "quality.yaml.old" in note
    assert quality.with_name("quality.yaml.old").read_text() == "classes: {lung: {objects: 1}}  # mine\n"
    assert yaml.safe_load(quality.read_text()) == RULES


def test_only_a_bundle_is_planned_again(fingerprint: Maker, tmp_path: Path) -> None:
    plan = make_plan(Fingerprint(fingerprint()), TASK, PlanOptions())
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    for out, what in ((file, "is a file"), (folder, "is a folder without configs")):
        with pytest.raises(OutputExists, match=what):
            write_bundle(plan, out, RULES, overwrite=True)


def files_of(plan: Any, out: Path) -> dict[str, str]:
    return bundle_files(plan, out.name, RULES)


@pytest.mark.parametrize(
    "value",
    [1, 1.0, 0.00001, 1234567.5, True, None, "on", "no", "plain", "monai.X", "@reference", "$max(@a)", "1e5", "a: b"],
)
def test_values_come_back_from_yaml_as_they_were(value: Any) -> None:
    assert yaml.safe_load(flow({"key": [value]})) == {"key": [value]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["colour", "patch", "spacing", "weights", "supervised"])
def test_a_planned_bundle_passes_check_properties(
    kind: str, kinds: dict[str, dict[str, str]], tmp_path: Path, phantom_datalist: Path
) -> None:
    for name, text in kinds[kind].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    # cache_rate 0: nothing is decoded, the phantom's films have no spacing.
    code = (
        "import sys; from monai.bundle import ConfigWorkflow\n"
        "for kind, way in (('train', 'train'), ('inference', 'infer'), ('evaluate', 'eval')):\n"
        "    flow = ConfigWorkflow(config_file=f'{sys.argv[1]}/configs/{kind}.yaml', workflow_type=way,\n"
        "        meta_file=f'{sys.argv[1]}/configs/metadata.json', logging_file=False, bundle_root=sys.argv[1],\n"
        "        dataset_dir=sys.argv[2], datalist=sys.argv[3], cache_rate=0.0)\n"
        "    flow.initialize(); missing = flow.check_properties()\n"
        "    assert not missing, (kind, missing)\n"
    )
    films = phantom_datalist.parent / "phantom" / "images"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(films), str(phantom_datalist)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
