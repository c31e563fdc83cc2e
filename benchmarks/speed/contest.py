"""The measurements in their order; in each the contestants work in turns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.commands import PeerError, run_logged
from benchmarks.machine import versions_of
from benchmarks.speed.contestants import (
    Entrant,
    Peers,
    Scale,
    entrants_of_augmentation,
    entrants_of_inference,
    entrants_of_training,
    entrants_of_variations,
)
from benchmarks.speed.floor import floor_seconds
from benchmarks.speed.material import Material, environment
from benchmarks.speed.process import Contestant
from benchmarks.speed.summary import in_order, rows_of

__all__ = ["PARTS", "USUAL_PARTS", "floor_of", "measure", "versions"]

PARTS = ("training", "inference", "cold", "augmentation", "variations")
USUAL_PARTS = PARTS[:3]
BASE = "stock/unet"
CORES_TO_START_TOGETHER = 8
# A contestant whose step or pass takes so many turns has one alone, if nobody is compared with it: it is slower by
# orders of magnitude, which one turn shows, and the others took a tenth of the whole measurement.
OVERLONG = 3
# Of the turns: who takes part, what the others are compared with, and what it is called.
TURNS = {
    "training": (entrants_of_training, BASE, "the MONAI bundle"),
    "inference": (entrants_of_inference, BASE, "the MONAI bundle"),
    "augmentation": (entrants_of_augmentation, "case", "MONAI"),
    "variations": (entrants_of_variations, "unet/fp32", "the first"),
}
TITLES = {
    "training": "Training",
    "inference": "Inference, from file to mask",
    "augmentation": "The bundle's random transforms alone",
    "variations": "Training steps of a network alone",
}
OURS = ("planar", "torch", "monai", "numpy", "openvino", "onnxruntime")
THEIRS = {
    "nnunet": ("nnunetv2", "torch"),
    "lightning": ("lightning", "segmentation-models-pytorch", "albumentations", "torch"),
    "lungmask": ("lungmask", "torch"),
    "openvino": ("openvino",),
}


def measure(
    part: str,
    size: int,
    material: Material,
    scale: Scale,
    peers: Peers,
    floor: dict[str, Any],
    skipped: dict[str, str],
    tell: Callable[[str], None],
    wanted: Sequence[str] = (),
) -> dict[str, Any]:
    """One measurement.

    Args:
        part: One of `TURNS`.
        size: Side of the films, pixels.
        material: Films and bundles.
        scale: How much.
        peers: Where the others are installed.
        floor: From `floor_of`.
        skipped: Gets who could not take part, with the reason.
        tell: Called with one line for what happens.
        wanted: Beginnings of the names of those who take part; empty for all.
    """
    training = part != "inference"
    find, base, base_title = TURNS[part]
    entrants = [
        one for one in find(material, scale, size, peers, skipped) if not wanted or one.name.startswith((*wanted, base))
    ]
    turns, ready = _turns(f"{part} {size}", entrants, scale, material.folder / "logs", skipped, tell)
    by_name = {one.name: one for one in entrants}
    side = size if training else scale.inference_network[scale.inference_sizes.index(size)]
    floors = {
        name: floor_seconds(floor["networks"][f"{one.network}/{side}"], floor["machine"], one.precision, training)
        for name, one in by_name.items()
        if one.network and name in turns
    }
    what = f"batch {scale.batch}" if training else f"{scale.files[scale.inference_sizes.index(size)]} files a pass"
    return {
        "part": part,
        "size": size,
        "title": f"{TITLES[part]}, {size}², {what}",
        "unit": "images/s" if training else "masks/s",
        "base": base,
        "base_title": base_title,
        "titles": {name: by_name[name].title + _noted(ready[name]) for name in turns},
        "ready": ready,
        "rows": rows_of(turns, base, floors),
    }


def _noted(ready: dict[str, Any]) -> str:
    """What a contestant says of itself that its figures are not to be read without."""
    return f" ({ready['note']})" if "note" in ready else ""


def _turns(
    what: str,
    entrants: Sequence[Entrant],
    scale: Scale,
    logs: Path,
    skipped: dict[str, str],
    tell: Callable[[str], None],
) -> tuple[dict[str, list[dict[str, float]]], dict[str, Any]]:
    """Start them all, then let them work in turns; one that fails is left out, and its reason kept."""
    turns: dict[str, list[dict[str, float]]] = {}
    ready: dict[str, Any] = {}
    with ExitStack() as stack:
        running: list[tuple[Entrant, Contestant]] = []

        def started(one: Entrant) -> Contestant:
            log = logs / f"{what} {one.name}.log".replace(" ", "_").replace("/", "_")
            return stack.enter_context(Contestant(one.name, one.command, log, environment()))

        # Where there are cores enough they get ready together; what that takes is no result.
        together = {one.name: started(one) for one in entrants} if scale.cores >= CORES_TO_START_TOGETHER else {}
        for one in entrants:
            process = together.get(one.name) or started(one)
            try:
                ready[one.name] = process.ready(one.patience_s)
            except PeerError as error:
                if one.name == BASE:  # without it there are no ratios, and the rest would be for nothing
                    raise
                skipped[f"{one.name} ({what})"] = " ".join(str(error).split())
                tell(f"{what}: {one.name} does not take part: {error}")
                continue
            tell(f"{what}: {one.name} is ready after {ready[one.name]['seconds_until_ready']:.0f} s")
            running.append((one, process))
        for order in in_order(len(running), scale.rounds):
            for one, process in [running[place] for place in order]:
                if f"{one.name} ({what})" in skipped or _has_had_enough(one.name, turns, scale.turn_s):
                    continue
                try:
                    turns.setdefault(one.name, []).append(process.turn(scale.turn_s, one.patience_s))
                except PeerError as error:
                    skipped[f"{one.name} ({what})"] = " ".join(str(error).split())
                    turns.pop(one.name, None)
                    continue
                last = turns[one.name][-1]
                tell(f"{what}: {one.name} {last['images'] / last['seconds']:.3g} a second")
    # In the order of the entrants, and not in that of who was first.
    return {one.name: turns[one.name] for one in entrants if one.name in turns}, ready


def _has_had_enough(name: str, turns: Mapping[str, Sequence[Mapping[str, float]]], turn_s: float) -> bool:
    """Whether a contestant has shown in one turn what others would show."""
    return not name.startswith("stock/") and any(one["seconds"] > OVERLONG * turn_s for one in turns.get(name, ()))


def floor_of(material: Material, scale: Scale) -> dict[str, Any]:
    """What the machine can do, and what the networks cost at every size: {"machine": …, "networks": …}."""
    sides = sorted({*scale.training_sizes, *scale.inference_network})
    given = {f"{name}/{side}": [definition, side] for name, definition in material.networks.items() for side in sides}
    settings = material.folder / "settings" / "floor.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(given) + "\n", encoding="utf-8")
    log = material.folder / "logs" / "floor.log"
    run_logged([sys.executable, "-m", "benchmarks.speed.floor", settings], log, environment())
    found: dict[str, Any] = json.loads(log.read_text(encoding="utf-8").strip().splitlines()[-1])
    return found


def versions(peers: Peers) -> dict[str, dict[str, str | None]]:
    """Of what is measured, by environment."""
    found = {"Planar": versions_of(sys.executable, OURS)}
    for name, packages in THEIRS.items():
        if name in peers.pythons:
            found[name] = versions_of(peers.python(name), packages)
    return found
