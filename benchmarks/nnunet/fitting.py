"""The plan with which nnU-Net gets somewhere in the time that there is.

nnU-Net's own plan fills a GPU: on a few CPU cores ten minutes are ten steps of it. Nobody would train it like that, so
beside its own plan it is also given the finest resolution at which the budget holds one of its epochs of 250 steps,
in batches of up to 4, in bfloat16 if that is faster. Patch, depth and width for that resolution are its planner's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["WANTED_STEPS", "Fit", "fit_plan"]

WANTED_STEPS = 250  # one epoch of nnU-Net's
BATCH = 4
SHORTEST_PATCH = 128  # of its longer side: below it an outline has no shape
FASTER = 1.1


@dataclass(frozen=True)
class Fit:
    """What is changed in nnU-Net's own plan, and why.

    Attributes:
        coarser: Factor of the pixel size; 1 leaves it.
        batch: Pictures a step.
        precision: "own", as nnU-Net has it (float32 on CPU), or "bfloat16", of the forward pass in training.
        own_steps: Steps of its own plan in the budget.
        steps: Steps expected of the fitted plan.
        needed: Whether its own plan falls short of an epoch, so that the fitted one is worth training.
        why: One line for the table.
    """

    coarser: float
    batch: int
    precision: str
    own_steps: int
    steps: int
    needed: bool
    why: str


def fit_plan(
    patch_size: Sequence[int],
    batch: int,
    measured_batch: int,
    seconds: Mapping[str, float],
    budget_s: float,
    wanted: int = WANTED_STEPS,
) -> Fit:
    """Fit a plan to a budget; the time of a step is taken to grow with its pixels.

    Args:
        patch_size: Of its own plan, pixels.
        batch: Of its own plan.
        measured_batch: Pictures in the steps that were measured with that patch.
        seconds: Of such a step, by precision; "own" is there.
        budget_s: Wall clock of the training, s.
        wanted: Steps that it should make at least.
    """
    own_steps = int(budget_s / (seconds["own"] * batch / measured_batch))
    if own_steps >= wanted:
        told = f"its own plan makes about {own_steps} steps in the budget: nothing to fit"
        return Fit(1.0, batch, "own", own_steps, own_steps, False, told)
    precision = min(seconds, key=lambda name: seconds[name])
    if seconds["own"] < FASTER * seconds[precision]:
        precision = "own"
    patch = math.prod(patch_size)
    pixels = budget_s * patch * measured_batch / seconds[precision]
    most = min(batch, BATCH)
    coarser = math.sqrt(max(1.0, patch * most * wanted / pixels))
    coarser = max(1.0, min(math.ceil(coarser * 20) / 20, max(patch_size) / SHORTEST_PATCH))
    # At full resolution with time to spare the batch grows back towards its own.
    fitted_batch = most if coarser > 1 else max(most, min(batch, int(pixels / patch / wanted)))
    steps = int(pixels / (patch / coarser**2) / fitted_batch)
    size = f"pixels {coarser:g} times as large" if coarser > 1 else "the same resolution"
    told = (
        f"its own plan (patch {'×'.join(map(str, patch_size))}, batch {batch}) makes about {own_steps} steps "
        f"in the budget, fewer than {wanted}; {size}, batch "
        f"{fitted_batch}{' and bfloat16' if precision == 'bfloat16' else ''} make about {steps}"
    )
    return Fit(coarser, fitted_batch, precision, own_steps, steps, True, told)
