"""The stages in their order, each as a user would give it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.scale.measuring import Cost, measured

__all__ = ["STAGES", "run_stages"]

STAGES = ("phantom", "index", "plan", "train", "infer")
ROOT = Path(__file__).parent.parent.parent
PLANAR = (sys.executable, "-c", "from pipeline.cli.main import main; main()")
# The network and its input are small: what is looked at is all that stands around them.
SMALL = ("network_def#channels=[8,16,32]", "network_def#strides=[2,2]", "image_size=[64,64]", "batch_size=16")


def run_stages(folder: Path, films: int, workers: int, size: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """So many films through all stages: cost by stage, and what was found at their end.

    Args:
        folder: For everything, empty.
        films: Their number.
        workers: Processes of the stages that have several.
        size: Of a film, pixels along the longer side.
        tell: Called with one line a stage.
    """
    work = [f"--workers={workers}"]
    commands: dict[str, list[str]] = {
        "phantom": ["phantom", "films", "-n", str(films), "--size", str(size), "--format", "png", *work],
        "index": ["index", "films/images", "films/masks", "--subjects", "films/index.csv:subject",
                  "--class-names", "lung", "-o", "datalist.json", *work],
        "plan": ["plan", "datalist.json", "--task", "cxr_lung", "--device", "cpu", "--cores", "2", "--memory", "4",
                 "-o", "bundle_segmentation", *work],
        "train": ["train", "bundle_segmentation", "--data", "datalist.json", "-o", "trained", "max_epochs=1",
                  "val_interval=1", *SMALL],
        "infer": ["infer", "trained", "films/images", "-o", "masks", "--no-gate"],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    settings = os.environ | {"PYTHONPATH": str(ROOT), "PLANAR_STATE": str(folder.absolute() / "state")}
    costs: dict[str, Cost] = {}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for stage in STAGES:
            costs[stage] = measured([*PLANAR, *commands[stage]], Path("logs") / f"{stage}.log", settings)
            tell(f"{films} films, {stage}: {costs[stage].seconds:.1f} s, {costs[stage].peak_mb:.0f} MB")
        indexed = json.loads(Path("datalist.json").read_text(encoding="utf-8"))
    finally:
        os.chdir(before)
    return {
        "films": films,
        "stages": {name: asdict(cost) for name, cost in costs.items()},
        "cases": sum(len(indexed[part]) for part in ("training", "validation", "test")),
        "masks": len(list((folder / "masks").rglob("*_mask.png"))),
    }
