"""What the model zoo asks of a bundle, and what ours promises besides."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from pipeline.bundle import shipped_bundles

ROOT = shipped_bundles()["cxr_lung_segmentation"]
CONFIGS = ROOT / "configs"
SMALL = {"image_size": [64, 64], "num_workers": 0, "batch_size": 4, "max_epochs": 1, "val_interval": 1}


def stock(command: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """`python -m monai.bundle COMMAND …` with nothing of this test's environment but the installed package.

    It computes in as many threads as this process: their number decides on the last bit of a sum, and so on a pixel.
    """
    return subprocess.run(
        [sys.executable, "-m", "monai.bundle", command, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "workflow"), [("train", "train"), ("inference", "infer"), ("evaluate", "infer")])
def test_no_property_that_monai_asks_for_is_missing(kind: str, workflow: str, phantom_datalist: Path) -> None:
    from monai.bundle import ConfigWorkflow

    settings = SMALL if kind == "train" else {"image_size": [64, 64]}
    opened = ConfigWorkflow(
        str(CONFIGS / f"{kind}.yaml"),
        meta_file=str(CONFIGS / "metadata.json"),
        logging_file=False,
        workflow_type=workflow,
        bundle_root=str(ROOT),
        datalist=str(phantom_datalist),
        dataset_dir=str(phantom_datalist.parent / "phantom" / "images"),
        **settings,
    )
    opened.initialize()
    assert opened.check_properties() == []


def test_multi_gpu_training_is_training_but_for_the_lines_marked_ddp() -> None:
    def lines(name: str) -> list[str]:
        text = (CONFIGS / name).read_text().split("imports:", 1)[1]
        return [line for line in text.splitlines() if line.strip()]

    single, several = lines("train.yaml"), lines("multi_gpu_train.yaml")
    added = [line for line in several if line not in single]
    removed = [line for line in single if line not in several]
    allowed = ("DDP", "torch.distributed", "DistributedDataParallel", "device_ids", "module:", "finalize:")
    assert [line for line in added if not any(word in line for word in allowed)] == []
    # What several processes do not have: the plain device, batch size, network, shuffling and seed.
    keys = sorted(line.strip().split(":")[0].strip('- "$') for line in removed if not line.strip().startswith("#"))
    seeding = ["monai.utils.set_determinism(seed=@seed)"]
    threads = ["torch.set_num_threads(max(1, (os.cpu_count() or 1) - @num_workers))"]  # torchrun sets them
    assert keys == sorted(["device", "batch_size", "network", "shuffle", "shuffle", *seeding, *threads])


def test_all_configs_agree_on_the_network_and_the_labels() -> None:
    contents = [
        yaml.safe_load((CONFIGS / f"{kind}.yaml").read_text())
        for kind in ("train", "multi_gpu_train", "evaluate", "inference")
    ]
    for key in ("network_def", "labels", "image_size"):
        assert all(content[key] == contents[0][key] for content in contents), key


def test_inference_prepares_a_film_as_training_does() -> None:
    def about_image(steps: list) -> list:
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

    train = yaml.safe_load((CONFIGS / "train.yaml").read_text())
    expected = about_image([*train["train"]["deterministic_transforms"], train["validate"]["normalise"]])
    inference = yaml.safe_load((CONFIGS / "inference.yaml").read_text())
    evaluate = yaml.safe_load((CONFIGS / "evaluate.yaml").read_text())
    assert about_image(inference["preprocessing"]["transforms"]) == expected
    assert about_image(evaluate["image_preprocessing"]["transforms"]) == expected


@pytest.mark.slow
def test_the_metadata_are_valid(tmp_path: Path) -> None:
    schema = ROOT.parent.parent / "configs" / "schemas" / "bundle_metadata.json"
    done = stock(
        "verify_metadata", "--meta_file", str(CONFIGS / "metadata.json"), "--filepath", str(schema), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "verified with no error" in done.stdout + done.stderr


@pytest.mark.slow
def test_the_network_takes_and_gives_the_shapes_of_the_metadata(tmp_path: Path) -> None:
    done = stock(
        "verify_net_in_out",
        "--net_id",
        "network_def",
        "--meta_file",
        str(CONFIGS / "metadata.json"),
        "--config_file",
        str(CONFIGS / "inference.yaml"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "extra"), [("ckpt_export", []), ("onnx_export", ["--input_shape", "[1, 1, 256, 256]"])]
)
def test_the_weights_can_be_exported(command: str, extra: list[str], tmp_path: Path) -> None:
    if command == "onnx_export":
        pytest.importorskip("onnxscript", reason='needs pip install "planar[export]"')
    target = tmp_path / "model.out"
    done = stock(
        command,
        "--net_id",
        "network_def",
        "--filepath",
        str(target),
        "--ckpt_file",
        str(ROOT / "models" / "model.pt"),
        "--meta_file",
        str(CONFIGS / "metadata.json"),
        "--config_file",
        str(CONFIGS / "inference.yaml"),
        "--bundle_root",
        str(ROOT),
        *extra,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert target.stat().st_size > 1_000_000


def test_the_weights_are_a_plain_state_dict_of_the_network() -> None:
    from pipeline.networks import UNetWithHead

    definition = yaml.safe_load((CONFIGS / "inference.yaml").read_text())["network_def"]
    definition.pop("_target_")
    network = UNetWithHead(**(definition | {"out_channels": 2}))
    weights = ROOT / "models" / "model.pt"
    network.load_state_dict(torch.load(weights, weights_only=True))
    assert weights.stat().st_size < 10_000_000


@pytest.mark.slow
def test_two_processes_train_as_one_does(phantom_datalist: Path, tmp_path: Path) -> None:
    """Same films a step and same learning rate: the validation scores agree within what a seed changes."""
    scores = {}
    for name, launcher in (
        ("train", [sys.executable]),
        ("multi_gpu_train", [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]),
    ):
        out = tmp_path / name
        out.mkdir()
        command = [*launcher, "-m", "monai.bundle", "run", "--config_file", str(CONFIGS / f"{name}.yaml")]
        command += ["--bundle_root", str(ROOT), "--ckpt_dir", str(out), "--datalist", str(phantom_datalist)]
        command += ["--image_size", "[96, 96]", "--num_workers", "0", "--max_epochs", "6", "--val_interval", "6"]
        # Without random transforms: what the two differ in is then the processes, not the draws.
        command += ["--train#random_transforms", "$[@validate#normalise]"]
        done = subprocess.run(
            command, cwd=out, capture_output=True, text=True, timeout=280, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr[-3000:]
        last = torch.load(out / "last.pt", weights_only=True)
        assert not any(key.startswith("module.") for key in last["network"])
        scores[name] = last["best"]["best_metric"]
    assert scores["multi_gpu_train"] == pytest.approx(scores["train"], abs=0.1)
    assert scores["train"] > 0.6


@pytest.mark.slow
def test_stock_inference_gives_the_masks_of_planar_infer(phantom_datalist: Path, tmp_path: Path) -> None:
    from pipeline.tasks.infer import infer

    films = phantom_datalist.parent / "phantom" / "images"
    done = stock(
        "run",
        "--config_file",
        str(CONFIGS / "inference.yaml"),
        "--bundle_root",
        str(ROOT),
        "--dataset_dir",
        str(films),
        "--output_dir",
        str(tmp_path / "stock"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    infer(str(ROOT), [str(films)], tmp_path / "ours")

    def digests(folder: Path) -> dict[str, str]:
        masks = folder.glob("*_mask.png")  # planar infer writes the gate's verdicts beside them
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in masks}

    assert digests(tmp_path / "stock") == digests(tmp_path / "ours")
    assert len(digests(tmp_path / "ours")) == len(list(films.iterdir()))
