"""What one bundle shows for all, as the configs of all come from the same templates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.bundle import shipped_bundles

ROOT = shipped_bundles()["cxr_lung_segmentation"]
CONFIGS = ROOT / "configs"


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
