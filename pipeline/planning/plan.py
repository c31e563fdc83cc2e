"""All choices of a bundle, made one after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import InvalidDatalist
from pipeline.planning.augmentation import Augmentation, choose_augmentation
from pipeline.planning.choice import Choice, Step
from pipeline.planning.intensity import Normalisation, choose_normalisation
from pipeline.planning.machine import Machine
from pipeline.planning.network import NetworkChoice, choose_class_weights, choose_network
from pipeline.planning.scale import LARGEST, SMALLEST, Scale, choose_scale
from pipeline.planning.schedule import Schedule, choose_schedule
from pipeline.planning.spec import TaskSpec
from pipeline.planning.supervision import choose_deep_supervision

__all__ = ["Plan", "PlanOptions", "fingerprint_digest", "make_plan"]

# Fewer epochs than this and a smaller picture is the better use of the time.
ENOUGH_EPOCHS = 30
STEP_DOWN = 64


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


@dataclass(frozen=True)
class Plan:
    """The choices of a bundle; `pipeline.planning.write_bundle` writes them."""

    spec: TaskSpec
    options: PlanOptions
    fingerprint: Mapping[str, Any]
    scale: Scale
    normalisation: Normalisation
    network: NetworkChoice
    supervision: Choice
    class_weights: Choice
    schedule: Schedule
    augmentation: Augmentation

    @property
    def classes(self) -> int:
        """Number of classes, background among them."""
        return len(self.spec.labels)

    def table(self, *, written: bool = False) -> list[tuple[str, str, str]]:
        """Name, value and reason of each choice, for people.

        Args:
            written: Without the choice that leaves no trace in the bundle: deep supervision, where nobody asked for it.
        """
        scale, schedule = self.scale, self.schedule
        aim = "patches" if scale.mode == "patch" else "whole picture"
        heads = self.network.heads
        supervision = ("deep supervision", _counted(heads, "head") if heads else "off", self.supervision.why)
        rows: list[tuple[str, Any, str]] = [
            ("input", f"{aim} {scale.size[0]}×{scale.size[1]}", scale.choice.why),
            ("normalisation", self.normalisation.kind.replace("_", " "), self.normalisation.scale.why),
            ("network", f"U-Net {'-'.join(map(str, self.network.channels.value))}", self.network.channels.why),
            *([] if written and self.spec.deep_supervision is None and not heads else [supervision]),
            ("batch", schedule.batch_size.value * schedule.patches, schedule.batch_size.why),
            ("epochs", schedule.epochs.value, schedule.epochs.why),
            ("validation", f"every {schedule.val_interval.value}", schedule.val_interval.why),
            ("cache", f"{100 * schedule.cache_rate.value:.0f} %", schedule.cache_rate.why),
            ("class weights", _listed(self.class_weights.value), self.class_weights.why),
            ("flips", _listed([list(flip) for flip in self.augmentation.flips]), self.augmentation.why_flips),
            *((step.target.rpartition(".")[2], "", step.why) for step in self.augmentation.steps if step.why),
        ]
        return [(name, str(value), why) for name, value, why in rows]

    def steps(self) -> list[Step]:
        """The deterministic transforms between the files and the augmentation, in order, z-score not included."""
        size: Any = "@image_size"
        resize: list[Step] = []
        if self.scale.mode == "longest":
            resize.append(
                Step(
                    "Resized",
                    {"mode": "bilinear", "anti_aliasing": True},
                    {"mode": "nearest", "anti_aliasing": False},
                    {"spatial_size": "$max(@image_size)", "size_mode": "longest"},
                    why="The longer side becomes image_size, the rest is padded: proportions are anatomy and kept.",
                )
            )
        elif self.scale.mode == "spacing":
            resize.append(
                Step(
                    "pipeline.transforms.ToSpacingd",
                    {"mode": "bilinear"},
                    MASKED,
                    {"spacing_mm": "@spacing_mm"},
                    why="Millimetres are the same on every scanner, pixels are not.",
                )
            )
        return [*resize, self.normalisation.scale, Step("SpatialPadd", {}, {}, {"spatial_size": size})]


MASKED: dict[str, Any] = {"mode": "nearest"}


def make_plan(fingerprint: Mapping[str, Any], spec: TaskSpec, options: PlanOptions) -> Plan:
    """Plan a bundle; the same arguments give the same plan.

    Args:
        fingerprint: The document of `pipeline.fingerprint`.
        spec: The task.
        options: Budget, machine, limits, seed.

    Raises:
        InvalidDatalist: if the data have other classes than the task, or nothing to train on.
        InvalidOption: if no network keeps to the limits.
    """
    found = list(fingerprint["labels"].values())
    if [name.casefold() for name in found] != [name.casefold() for name in spec.labels]:
        raise InvalidDatalist(
            f"The data have the classes {', '.join(found)}; the task {spec.name} has {', '.join(spec.labels)}. Index "
            "the masks again with --task, or give the task of these data."
        )
    if not fingerprint["cases"]["training"]:
        raise InvalidDatalist(
            f"{fingerprint['name']}: has no training cases to plan from. Index it with another --split."
        )
    described = dict(fingerprint)
    if fingerprint["modality"] in ("", "unknown"):
        described["modality"] = spec.modality
    normalisation = choose_normalisation(described)
    supervision = choose_deep_supervision(spec.deep_supervision)
    largest = LARGEST
    while True:
        scale = choose_scale(described, largest)
        network = choose_network(
            scale,
            normalisation.channels,
            len(spec.labels),
            options.machine,
            options.max_parameters,
            supervised=supervision.value,
        )
        channels = (normalisation.channels, network.channels.value[0])
        schedule = choose_schedule(described, scale, channels, options.machine, options.budget_s, supervision.value)
        smaller = max(scale.size) - STEP_DOWN
        if schedule.epochs.value >= ENOUGH_EPOCHS or scale.mode == "patch" or smaller < SMALLEST:
            break
        largest = smaller
    return Plan(
        spec=spec,
        options=options,
        fingerprint=described,
        scale=scale,
        normalisation=normalisation,
        network=network,
        supervision=supervision,
        class_weights=choose_class_weights(described),
        schedule=schedule,
        augmentation=choose_augmentation(described, spec.labels, scale, spec.orientation),
    )


def fingerprint_digest(fingerprint: Mapping[str, Any]) -> str:
    """SHA-256 over the document, keys sorted."""
    text = json.dumps(fingerprint, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _listed(value: Any) -> str:
    return "none" if value is None else str(value)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
