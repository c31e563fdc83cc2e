"""Deep supervision: whether lower levels of the decoder are trained on the masks too, and what that costs.

References:
    Lee et al., Deeply-supervised nets, AISTATS 2015 (arXiv:1409.5185).
    Isensee et al., nnU-Net, Nature Methods 18, 2021: a loss at each level of the decoder, halved from level to level.

Measured, 2026-11: training of 3 CPU-minutes on one core, augmentation included, one seed, planned sizes (128×96 and
192×192), averaged last weights, held-out cases (validation and test, which chose nothing), Dice on the network's grid:

    set (held-out cases)            UNet     DynUNet    DynUNet, supervised
    fundus: disc (27)               0.941    0.945      0.941
    chest CT: lung (7)              0.968    0.966      0.956
    chest CT: trachea (4)           0.571    0.943      0.882
    steps in the time: fundus, CT   986, 788  445, 345  484, 326

The heart (16 training cases) was learnt by none of them. Against the same network without it deep supervision lost on
both sets, on fundus by 0.004 (standard error over the cases 0.002). What helps the trachea is not the heads but that
DynUNet takes its classes from features: so does `pipeline.networks.UNetWithHead`, which is planned since and finds
0.915 of it. Long trainings on a GPU, as nnU-Net's are, have not been measured.
"""

from __future__ import annotations

from pipeline.planning.choice import Choice
from pipeline.planning.machine import classes_gb

__all__ = ["STEP_COST", "choose_deep_supervision", "heads_for", "supervised_gb"]

MEASURED = (
    "measured for 3 CPU-minutes it did not pay: held-out Dice 0.941 on fundus discs, 0.956 and 0.882 on lung and "
    "trachea in CT, against 0.945, 0.966 and 0.943 for the same network without it; a step takes 2.8 times the U-Net's"
)
MOST_HEADS = 3  # the loss counts a fourth head by a sixteenth
# A step of a deeply supervised DynUNet as a multiple of one of a `UNetWithHead` of the same widths. MONAI's UNet takes
# 0.086 s for two pictures of 320² (bfloat16, one core), with the head 1.3 times as much, DynUNet 0.31 s: its blocks at
# full resolution take the time, its outputs 3 %.
STEP_COST = 2.8
# What a step holds of a megapixel, with 16 channels at full resolution, bfloat16, measured; `machine.step_gb` has a
# U-Net's.
STEP_GB = 1.5


def heads_for(levels: int) -> int:
    """Heads of a network of that many levels: MONAI's `DynUNet` takes fewer than it has upward steps."""
    return min(MOST_HEADS, levels - 2)


def supervised_gb(megapixels: float, base_channels: int, classes: int) -> float:
    """Memory of a training step for the inputs of a deeply supervised network, GB; weights not included."""
    # In training each head's output comes at full resolution, with a loss of its own.
    return STEP_GB * megapixels * base_channels / 16 + (1 + MOST_HEADS) * classes_gb(megapixels, classes)


def choose_deep_supervision(asked: bool | None) -> Choice:
    """Whether the network is deeply supervised.

    Args:
        asked: What the task spec says; None leaves it to what has been measured.
    Returns: A truth value. Nothing has been measured for which the answer would be yes, so there is no rule yet.
    """
    if asked:
        return Choice(
            True, f"deep supervision, a loss at lower levels too, because the task spec asks for it; {MEASURED}"
        )
    if asked is not None:
        return Choice(False, f"the task spec leaves it out; {MEASURED}")
    return Choice(False, f"{MEASURED}; `deep_supervision: true` in the task spec asks for it all the same")
