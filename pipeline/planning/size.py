"""How large a network and its input may be, for the time, the memory and the parameters that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.errors import InvalidOption
from pipeline.planning.choice import Choice
from pipeline.planning.machine import Machine
from pipeline.planning.network import NetworkChoice, choose_network
from pipeline.planning.scale import LARGEST, SMALLEST, Scale, choose_scale
from pipeline.planning.schedule import Schedule, choose_schedule

__all__ = ["PlanOptions", "choose_size"]

# Channels at full resolution; nnU-Net's 32 are the most.
WIDTHS = (32, 24, 16, 12, 8, 4)
USUAL = 16
NARROWEST = 8  # that time may ask for; memory and parameters may ask for less
# Fewer epochs than this and a smaller picture is the better use of the time.
ENOUGH_EPOCHS = 30
STEP_DOWN = 64
# Pictures seen in the training, each as often as it is: a wider network than the usual is worth its time from the
# first number on; below the second (and ENOUGH_EPOCHS) a narrower one learns more.
ENOUGH_FOR_WIDER, ENOUGH_SEEN = 50_000, 10_000


@dataclass(frozen=True)
class PlanOptions:
    """What the user gives besides data and task.

    Attributes:
        budget_s: Wall clock of the training, s.
        machine: What it is planned for.
        max_parameters: Upper limit of the network, or None.
        seed: Of the training.
    """

    budget_s: float = 1800.0
    machine: Machine = field(default_factory=Machine)
    max_parameters: int | None = None
    seed: int = 0


def choose_size(
    fingerprint: Mapping[str, Any], in_channels: int, classes: int, options: PlanOptions, supervised: bool = False
) -> tuple[Scale, NetworkChoice, Schedule]:
    """The widest network that sees enough pictures in the time and fits into the memory, and the input's size for it.

    Args:
        fingerprint: The document of `pipeline.fingerprint`.
        in_channels: Of the picture.
        classes: With the background.
        options: Budget, machine, limit of the parameters.
        supervised: Whether the network has deep supervision.
    Raises: InvalidOption: if no network keeps to the limits.
    """
    why_not_wider = "more is not of use"
    allowed, limit = options.machine.step_gb, options.max_parameters
    taken: list[tuple[Scale, NetworkChoice, Schedule]] = []
    for base in WIDTHS:
        if base < NARROWEST and taken:
            break
        scale, network, schedule = _at_width(fingerprint, in_channels, classes, base, options, supervised)
        if limit is not None and network.parameters > limit:
            if base == WIDTHS[-1]:
                raise InvalidOption(
                    f"No U-Net for {scale.size[0]}×{scale.size[1]} pixels has at most {limit} parameters; the smallest "
                    f"has {network.parameters}. Give a larger --max-parameters."
                )
            why_not_wider = f"{base} would have {network.parameters} parameters ({limit} are allowed)"
            continue
        if schedule.step_gb > allowed and base > WIDTHS[-1]:
            why_not_wider = f"{base} would hold {schedule.step_gb:.2g} GB in a step ({allowed:.2g} GB may be used)"
            continue
        taken.append((scale, _explained(network, base, schedule, why_not_wider, options.machine), schedule))
        asked = ENOUGH_FOR_WIDER if base > USUAL else ENOUGH_SEEN
        if schedule.seen >= asked or (base <= USUAL and schedule.epochs.value >= ENOUGH_EPOCHS):
            break
        why_not_wider = f"{base} would see {schedule.seen} pictures in the time (worth it from {asked} on)"
    return taken[-1]


def _at_width(
    fingerprint: Mapping[str, Any],
    in_channels: int,
    classes: int,
    base: int,
    options: PlanOptions,
    supervised: bool,
) -> tuple[Scale, NetworkChoice, Schedule]:
    """A network that wide, with an input as large as the time allows; for a wide one at the size that is asked for."""
    largest = LARGEST
    while True:
        scale = choose_scale(fingerprint, largest)
        network = choose_network(scale, in_channels, classes, base, supervised)
        schedule = choose_schedule(
            fingerprint,
            scale,
            (in_channels, base),
            network.parameters,
            classes,
            options.machine,
            options.budget_s,
            supervised,
        )
        smaller = max(scale.size) - STEP_DOWN
        if schedule.epochs.value >= ENOUGH_EPOCHS or base > USUAL or scale.mode == "patch" or smaller < SMALLEST:
            return scale, network, schedule
        largest = smaller


def _explained(
    network: NetworkChoice, base: int, schedule: Schedule, why_not_wider: str, machine: Machine
) -> NetworkChoice:
    allowed = machine.step_gb
    held = f"a step holds about {schedule.step_gb:.2g} GB ({allowed:.2g} GB may be used"
    held += ")" if schedule.step_gb <= allowed else ", and none holds less)"
    why = f"{network.channels.why}; {base} channels at full resolution: {why_not_wider}; {held}"
    return replace(network, channels=Choice(network.channels.value, why))
