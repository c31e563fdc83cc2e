from __future__ import annotations

import json
from pathlib import Path

from pipeline.bundle import Bundle, find_bundle
from pipeline.report.settings import Setting, settings_of

TRAIN = """# Training. Run it with python -m monai.bundle run
imports:
  - $import torch
max_epochs: 100
patience: 30           # epochs without a better score before training ends
labels: {0: background, 1: lung}

# The whole film at 320 pixels:
# the outline is exact enough.
image_size: [320, 320]

network_def:
  _target_: monai.networks.nets.UNet
  out_channels: "$len(@labels)"
  channels: [16, 32]
loss: {_target_: DiceCELoss, softmax: true}
train:
  deterministic_transforms:
    - {_target_: LoadImaged, keys: image}
    # Proportions are anatomy.
    - {_target_: Resized, keys: [image, label], spatial_size: "$@image_size[0]", size_mode: longest}
  random_transforms:
    - {_target_: RandZoomd, keys: image, prob: 0.7, min_zoom: 0.7, padding_mode: constant}
"""
EVALUATE = """# Evaluation.
image_size: [320, 320]
ckpt_path: /home/ward/model.pt
test_time_flips: [[], [0]]    # the film and its mirror image
"""


def test_choices_of_a_bundle_come_with_the_reasons_that_stand_beside_them(tmp_path: Path) -> None:
    write(tmp_path, TRAIN)
    assert settings_of(write(tmp_path, EVALUATE, "evaluate.yaml")) == {
        "Training": [
            Setting("max epochs", "100"),
            Setting("patience", "30", "epochs without a better score before training ends"),
            Setting("image size", "[320, 320]", "The whole film at 320 pixels: the outline is exact enough."),
            Setting("network", "UNet(channels=[16, 32])"),
            Setting("loss", "DiceCELoss(softmax=yes)"),
        ],
        "Preparing the image": [Setting("Resize", "size mode longest", "Proportions are anatomy.")],
        "Augmentation": [Setting("RandZoom", "prob 0.7, min zoom 0.7")],
        # What training and prediction have in common is said once.
        "Prediction": [Setting("test time flips", "[[], [0]]", "the film and its mirror image")],
    }


def test_the_shipped_bundle_gives_all_its_reasons() -> None:
    groups = settings_of(find_bundle("cxr_lung_segmentation"))
    assert set(groups) - {"Plan"} == {"Training", "Preparing the image", "Augmentation", "Prediction"}
    assert sum(bool(setting.why) for settings in groups.values() for setting in settings) >= 4


def write(root: Path, text: str, name: str = "train.yaml") -> Bundle:
    (root / "configs").mkdir(exist_ok=True)
    (root / "configs" / name).write_text(text)
    return Bundle(root, root.name)


def test_paths_and_expressions_are_no_choices(tmp_path: Path) -> None:
    bundle = write(
        tmp_path,
        'datalist: "/home/ward/datalist.json"\ndevice: "$torch.device(0)"\ncolours: /home/ward/colours.txt\n'
        'rate: "@other"\nsteps: 3   # see /home/ward/notes.txt\n',
    )
    (group,) = settings_of(bundle).values()
    assert {(s.name, s.value, s.why) for s in group} == {
        ("colours", "colours.txt", ""),
        ("steps", "3", "see notes.txt"),
    }


def test_a_comment_belongs_to_the_transform_below_it(tmp_path: Path) -> None:
    bundle = write(
        tmp_path,
        "train:\n  random_transforms:\n    # left and right are one class\n"
        "    - {_target_: RandFlipd, keys: image, prob: 0.5}\n"
        "    - {_target_: RandFlipd, keys: image, prob: 0.1}\n",
    )
    first, second = settings_of(bundle)["Augmentation"]
    assert (first.why, second.why) == ("left and right are one class", "")
    assert (first.value, second.value) == ("prob 0.5", "prob 0.1")


def test_a_bundle_of_another_making_is_no_trouble(tmp_path: Path) -> None:
    assert settings_of(write(tmp_path, "{}")) == {}
    config = {"lr": 0.1, "train": {"random_transforms": "$@nothing"}, "net": {"_target_": "a.b.Net", "n": [1, None]}}
    found = settings_of(write(tmp_path, json.dumps(config), "train.json"))
    assert list(found) == [] or {s.name for s in found["Training"]} <= {"lr", "net"}
    (tmp_path / "configs" / "train.yaml").unlink()
    assert {(s.name, s.value) for s in settings_of(Bundle(tmp_path, "x"))["Training"]} == {
        ("lr", "0.1"),
        ("net", "Net(n=[1, none])"),
    }


def test_the_choices_of_a_plan_come_first(tmp_path: Path) -> None:
    bundle = write(tmp_path, "epochs: 3")
    for content in ("", "[]", '{"choices": [{"choice": "input"}]}'):
        (tmp_path / "configs" / "plan.json").write_text(content)
        assert list(settings_of(bundle)) == ["Training"]
    plan = {
        "choices": [{"choice": "batch", "value": "8", "why": "fits"}, {"choice": "RandFlipd", "value": "", "why": "x"}]
    }
    (tmp_path / "configs" / "plan.json").write_text(json.dumps(plan))
    groups = settings_of(bundle)
    assert list(groups) == ["Plan", "Training"]
    assert groups["Plan"] == [Setting("batch", "8", "fits"), Setting("RandFlip", "yes", "x")]
