"""What a training costs, by a nominal speed of the machine: the same plan comes out wherever it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.cores import usable_cores
from pipeline.errors import InvalidOption
from pipeline.memory import half_of_memory_gb

__all__ = ["Machine", "classes_gb", "found_machine", "parse_duration", "step_gb"]

# Megapixels a second through a training step of the default network (16 channels at full resolution, bfloat16),
# augmentation with it. CPU: measured on two AVX512-BF16 cores. GPU: an assumption, the augmentation of a few processes
# being what limits it.
CPU_CORE_MEGAPIXELS = 1.15
GPU_MEGAPIXELS = 30.0
# What evaluation costs of a training step: a forward pass, no augmentation.
VALIDATION_SHARE = 0.4
# What a training step holds beside the program, GB a megapixel: inputs, probabilities and loss, and activations by
# channel at full resolution (bfloat16). Measured, peak resident memory of a step on a CPU with 8, 16 and 32 channels:
# 0.33, 0.50 and 0.87 GB a megapixel, which the estimate exceeds by a tenth. On a GPU it is an assumption.
INPUTS_GB, ACTIVATIONS_GB = 0.15, 0.0255
# What each further class adds, GB a megapixel: logits, probabilities, one-hot masks and their gradients. Measured in
# the same way, 16 channels and DiceCELoss: 0.53 GB a megapixel with 2 classes, 0.52 with 4, 0.67 with 8, 1.06 with 16,
# 1.83 with 40 and 4.42 with 104. The first four are within the tenth above; between these the estimate errs on the safe
# side, by an eighth at most.
CLASS_GB, FREE_CLASSES = 0.04, 4
# Five float32 numbers a weight: itself, its gradient, two moments of Adam, the running mean.
WEIGHT_GB = 20e-9
# The most of the memory that a step may hold; the program and the decoded pictures need the rest.
STEP_SHARE = 0.4


@dataclass(frozen=True)
class Machine:
    """The machine that a plan is made for.

    Attributes:
        device: "cpu" or "gpu".
        cores: CPU cores that may be used.
        memory_gb: Memory for decoded pictures, networks and batches, GB (of the GPU and of the CPU alike).
    """

    device: str = "cpu"
    cores: int = 2
    memory_gb: float = 8.0

    def __post_init__(self) -> None:
        if self.device not in ("cpu", "gpu") or self.cores < 1 or self.memory_gb <= 0:
            raise InvalidOption(
                f"A machine of {self.cores} cores, {self.memory_gb:g} GB and device '{self.device}' cannot be planned "
                "for; expected at least one core, some memory and the device cpu or gpu."
            )

    def training_megapixels(self, base_channels: int, cost: float = 1.0) -> float:
        """Megapixels a second in training, for a network of that many channels at full resolution.

        Args:
            base_channels: Of the network.
            cost: Time of a step as a multiple of that of a `UNetWithHead` of the same widths.
        """
        nominal = GPU_MEGAPIXELS if self.device == "gpu" else CPU_CORE_MEGAPIXELS * min(self.cores, 16)
        return nominal * (16 / base_channels) ** 1.5 / cost

    @property
    def step_gb(self) -> float:
        """Memory that a training step may hold, GB."""
        return STEP_SHARE * self.memory_gb


def step_gb(megapixels: float, base_channels: int, parameters: int, classes: int) -> float:
    """Memory that a training step holds, GB.

    Args:
        megapixels: Of all inputs of the step.
        base_channels: Of the network at full resolution.
        parameters: Of the network.
        classes: With the background.
    """
    of_network = megapixels * (INPUTS_GB + ACTIVATIONS_GB * base_channels) + WEIGHT_GB * parameters
    return of_network + classes_gb(megapixels, classes)


def classes_gb(megapixels: float, classes: int) -> float:
    """What many classes add to the memory of a step for one output of the network, GB."""
    return CLASS_GB * megapixels * max(0, classes - FREE_CLASSES)


def found_machine() -> Machine:
    """The machine at hand: its cores, half its memory, a GPU if torch sees one."""
    import torch

    memory = half_of_memory_gb()
    if torch.cuda.is_available():
        memory = min(memory, torch.cuda.get_device_properties(0).total_memory / 1e9)
    return Machine("gpu" if torch.cuda.is_available() else "cpu", usable_cores(), float(int(memory)))


def parse_duration(text: str) -> float:
    """Seconds of "90s", "30min", "1.5h" or "2d".

    Raises: InvalidOption: for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d)\s*", text.lower())
    seconds = float(found[1]) * {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[found[2]] if found else 0
    if not seconds:
        raise InvalidOption(f"'{text}' is no duration; expected a number and s, min, h or d, such as 30min.")
    return seconds
