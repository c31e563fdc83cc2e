"""Whole commands from their start to their end, in turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands import PeerError, run_logged
from benchmarks.speed.material import BUNDLE, ROOT, STOCK, Material, environment
from benchmarks.speed.summary import in_order, spread
from pipeline.bundle import find_bundle

__all__ = ["cold_commands", "measure_cold"]

SIZE = 512
PATIENCE_S, LOOK_EVERY_S = 60.0, 0.1
PLANAR = (sys.executable, "-c", "from pipeline.cli.main import main; main()")


def cold_commands(material: Material, skipped: dict[str, str]) -> dict[str, tuple[str, list[str]]]:
    """Name → title and command; the first is what the others are compared with; see `measure_cold`."""
    images = material.images(SIZE, 1).resolve()
    (image,) = images.iterdir()
    bundle = find_bundle(BUNDLE).root.resolve()
    try:
        exported = material.exported_bundle.resolve()
    except PeerError as error:  # without the packages of planar[export]
        exported = bundle
        for name in ("planar", "planar_untracked"):
            skipped[f"{name} (cold)"] = " ".join(str(error).split())
    stock = material.stock_bundle("unet").resolve()
    masks = material.folder.resolve() / "masks"
    run = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root"]
    stock_settings = ["--image_size", f"[{SIZE},{SIZE}]", "--num_workers", "0"]
    return {
        "monai": (
            "`python -m monai.bundle run`, Planar's bundle, one film",
            [*run, str(bundle), "--config_file", str(bundle / "configs" / "inference.yaml"),
             "--dataset_dir", str(images), "--output_dir", str(masks / "cold_monai")],
        ),
        "planar": (
            "`planar infer`, the same bundle and film, with its exported program",
            [*PLANAR, "infer", str(exported), str(image), "-o", str(masks / "cold_planar"), "--overwrite"],
        ),
        "planar_untracked": (
            "`planar infer --no-tracking`, the same",
            [*PLANAR, "infer", str(exported), str(image), "-o", str(masks / "cold_un"), "--overwrite", "--no-tracking"],
        ),
        "planar_bundle": (
            "`planar infer --no-tracking`, the bundle itself",
            [*PLANAR, "infer", str(bundle), str(image), "-o", str(masks / "cold_b"), "--overwrite", "--no-tracking"],
        ),
        "stock": (
            "`python -m monai.bundle run`, the stock bundle, the same film",
            [*run, str(stock), "--config_file", str(STOCK / "inference.yaml"), *stock_settings,
             "--dataset_dir", str(images), "--output_dir", str(masks / "cold_stock")],
        ),
        "import_monai": ("`python -c 'import monai'`", [sys.executable, "-c", "import monai"]),
        "import_torch": ("`python -c 'import torch'`", [sys.executable, "-c", "import torch"]),
        "help": ("`planar --help`", [*PLANAR, "--help"]),
        "python": ("`python -c pass`", [sys.executable, "-c", "pass"]),
    }  # fmt: skip


def measure_cold(
    material: Material, rounds: int, skipped: dict[str, str], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Run each command so many times, after once that does not count; one that fails gets into `skipped`."""
    commands = cold_commands(material, skipped)
    seconds: dict[str, list[float]] = {name: [] for name in commands if f"{name} (cold)" not in skipped}
    for turn, order in enumerate(in_order(len(commands), rounds + 1)):
        for name in [list(commands)[place] for place in order]:
            if f"{name} (cold)" in skipped:
                continue
            try:
                took = _once(name, commands[name][1], material.folder.resolve())
            except PeerError as error:
                skipped[f"{name} (cold)"] = " ".join(str(error).split())
                seconds.pop(name)
                continue
            if turn:
                seconds[name].append(took)
        tell(f"cold start, round {turn} of {rounds}")
    first = seconds.get(next(iter(commands)), [])
    rows = [
        {
            "name": name,
            "title": commands[name][0],
            "command": _plain(commands[name][1], material),
            "seconds": spread(each),
            **({"ratio": spread([ours / theirs for ours, theirs in zip(each, first, strict=True)])} if first else {}),
        }
        for name, each in seconds.items()
    ]
    return {"rows": rows}


def _once(name: str, command: Sequence[str], folder: Path) -> float:
    """The seconds of a command; what it has others do when it is over is waited for, and belongs to nobody's time."""
    # Its runs are no user's.
    own = {"PLANAR_STATE": str(folder / "state"), "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'cold.db'}"}
    took = run_logged(command, folder / "logs" / f"cold_{name}.log", environment() | own)
    for _ in range(round(PATIENCE_S / LOOK_EVERY_S)):
        if not any((folder / "state" / "told").glob("*.json")):
            break
        time.sleep(LOOK_EVERY_S)
    return took


def _plain(command: Sequence[str], material: Material) -> str:
    """The command without this machine's paths."""
    told = " ".join(command).replace(str(material.folder.resolve()), "OUT").replace(sys.executable, "python")
    return told.replace(str(STOCK), "stock").replace(str(ROOT), "PLANAR")
