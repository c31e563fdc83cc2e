"""What half precision costs: the same weights in float32 and in float16, scored on the same cases."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.checkpoints import STATISTICS, in_half
from pipeline.errors import InvalidEvaluation
from pipeline.tensor_files import save_aside

__all__ = ["count_parameters", "difference", "write_both"]


def write_both(models: Path, folder: Path) -> str:
    """Write weights in both precisions, as `full.pt` and `half.pt`.

    A training that has written its best weights in float16 has no others of them; then those of its last epoch are
    taken, which `last.pt` holds in float32.

    Args:
        models: A training's folder of checkpoints.
        folder: For the two files.
    Returns: Which weights they are, in words.
    """
    import torch

    best = torch.load(models / "model.pt", map_location="cpu", weights_only=True)
    weights, which = best, "the released weights"
    if any(value.dtype == torch.float16 for value in best.values()):
        last = torch.load(models / "last.pt", map_location="cpu", weights_only=True)
        weights, which = last.get("averaged", last["network"]), "the last epoch's weights"
    save_aside(weights, folder / "full.pt")
    save_aside(in_half(weights), folder / "half.pt")
    return which


def difference(full: Path, half: Path) -> dict[str, Any]:
    """How the Dice of two evaluations of the same cases differ.

    Args:
        full: Folder of the evaluation in float32.
        half: Of that in float16.
    Returns: Mean Dice of each over cases and classes, the difference of the means, and the largest one of a case.
    Raises: InvalidEvaluation: if they are of other cases.
    """
    one, other = _dice(full), _dice(half)
    if one.keys() != other.keys() or not one:
        raise InvalidEvaluation(f"{full} and {half}: are not of the same cases, or of none. Evaluate again.")
    means = [sum(found.values()) / len(found) for found in (one, other)]
    return {
        "dice_full": means[0],
        "dice_half": means[1],
        "difference": means[1] - means[0],
        "largest_of_a_case": max(abs(one[key] - other[key]) for key in one),
        "numbers": len(one),
    }


def count_parameters(weights: Path) -> int:
    """Trained values in a checkpoint, each once, however many names it has; batch statistics are none."""
    import torch

    content: Mapping[str, Any] = torch.load(weights, map_location="cpu", weights_only=True)
    left_out = (*STATISTICS, "num_batches_tracked")
    tensors = {
        (value.data_ptr(), value.shape): value.numel() for name, value in content.items() if not name.endswith(left_out)
    }
    return sum(tensors.values())


def _dice(folder: Path) -> dict[tuple[str, str], float]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(row["image"], row["class"]): float(row["dice"]) for row in rows if row["dice"]}
