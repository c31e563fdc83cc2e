"""What the configs and the weights of every bundle promise, as far as it is read without running them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_samples import LARGEST_WEIGHTS, Sample, config

KINDS = {"train": "train", "inference": "infer", "evaluate": "infer"}


def opened(bundle: Path, kind: str, **settings: Any) -> Any:
    from monai.bundle import ConfigWorkflow

    return ConfigWorkflow(
        str(bundle / "configs" / f"{kind}.yaml"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type=KINDS[kind],
        bundle_root=str(bundle),
        **settings,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_property_that_monai_asks_for_is_missing(bundle: Path, kind: str, sample: Sample, datalist: Path) -> None:
    size = [sample.side, sample.side]
    few = {"num_workers": 0, "batch_size": 2, "max_epochs": 1, "val_interval": 1} if kind == "train" else {}
    images = str(datalist.parent / "images")
    workflow = opened(bundle, kind, datalist=str(datalist), dataset_dir=images, image_size=size, **few)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_multi_gpu_training_is_training_but_for_the_lines_marked_ddp(bundle: Path) -> None:
    def lines(name: str) -> list[str]:
        text = (bundle / "configs" / name).read_text(encoding="utf-8").split("imports:", 1)[1]
        return [line for line in text.splitlines() if line.strip()]

    single, several = lines("train.yaml"), lines("multi_gpu_train.yaml")
    added = [line for line in several if line not in single]
    removed = [line for line in single if line not in several]
    allowed = ("DDP", "torch.distributed", "DistributedDataParallel", "device_ids", "module:", "finalize:")
    assert [line for line in added if not any(word in line for word in allowed)] == []
    # What several processes do not have: the plain device, batch size, network, shuffling and seed.
    keys = sorted(line.strip().split(":")[0].strip('- "$') for line in removed if not line.strip().startswith("#"))
    seeding = ["monai.utils.set_determinism(seed=seed_of(@seed, @ckpt_dir, @resume))"]
    threads = ["torch.set_num_threads(compute_threads(@num_workers))"]  # torchrun sets them
    assert keys == sorted(["device", "batch_size", "network", "shuffle", "shuffle", *seeding, *threads])


def test_all_configs_agree_on_the_network_and_the_labels(bundle: Path) -> None:
    contents = [config(bundle, kind) for kind in ("train", "multi_gpu_train", "evaluate", "inference")]
    for key in ("network_def", "labels", "image_size"):
        assert all(content[key] == contents[0][key] for content in contents), key


def test_inference_prepares_a_picture_as_training_does(bundle: Path) -> None:
    def about_image(steps: list[Any]) -> list[dict[str, Any]]:
        kept = []
        for step in steps:
            if not isinstance(step, dict) or step["_target_"] in ("EnsureTyped", "SelectItemsd"):
                continue
            keys = step["keys"] if isinstance(step["keys"], list) else [step["keys"]]
            if "image" in keys:
                position = keys.index("image")
                kept.append(
                    {
                        k: v[position] if isinstance(v, list) and len(v) == len(keys) > 1 else v
                        for k, v in step.items()
                        if k != "keys"
                    }
                )
        return kept

    train = config(bundle, "train")
    expected = about_image([*train["train"]["deterministic_transforms"], train["validate"]["normalise"]])
    assert expected
    assert about_image(config(bundle, "inference")["preprocessing"]["transforms"]) == expected
    assert about_image(config(bundle, "evaluate")["image_preprocessing"]["transforms"]) == expected


def test_the_weights_are_a_plain_state_dict_of_the_network_and_small(bundle: Path) -> None:
    path = bundle / "models" / "model.pt"
    assert path.stat().st_size <= LARGEST_WEIGHTS
    network = opened(bundle, "inference").parser.get_parsed_content("network_def")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    assert all(torch.isfinite(value.float()).all() for value in weights.values())
