"""All choices of a bundle, made one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import InvalidDatalist
from pipeline.fingerprint import Fingerprint
from pipeline.labels import class_key
from pipeline.planning.augmentation import Augmentation, choose_augmentation
from pipeline.planning.choice import Choice, Step
from pipeline.planning.intensity import Normalisation, choose_normalisation
from pipeline.planning.network import NetworkChoice, choose_class_weights
from pipeline.planning.refinement import Refining, choose_refinement
from pipeline.planning.scale import Scale
from pipeline.planning.schedule import Schedule
from pipeline.planning.size import PlanOptions, choose_size
from pipeline.planning.spec import TaskSpec
from pipeline.planning.supervision import choose_deep_supervision

__all__ = ["Plan", "PlanOptions", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """The choices of a bundle; `pipeline.planning.write_bundle` writes them."""

    spec: TaskSpec
    options: PlanOptions
    fingerprint: Fingerprint
    modality: str
    scale: Scale
    normalisation: Normalisation
    network: NetworkChoice
    supervision: Choice
    class_weights: Choice
    schedule: Schedule
    augmentation: Augmentation
    refinement: tuple[Refining, ...] = ()

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
            *([("weights", "last", schedule.keep.why)] if schedule.keep.value == "last" else []),
            ("cache", f"{100 * schedule.cache_rate.value:.0f} %", schedule.cache_rate.why),
            ("class weights", _listed(self.class_weights.value), self.class_weights.why),
            ("flips", _listed([list(flip) for flip in self.augmentation.flips]), self.augmentation.why_flips),
            *((step.target.rpartition(".")[2], "", step.why) for step in self.augmentation.steps if step.why),
            *((refining.step["_target_"].rpartition(".")[2], "", refining.why) for refining in self.refinement),
        ]
        return [(name, str(value), why) for name, value, why in rows]

    def steps(self) -> list[Step]:
        """The deterministic transforms between the files and the augmentation, in order, z-score not included."""
        size: Any = "@image_size"
        resize: list[Step] = []
        if self.spec.window_hu is not None and self.normalisation.kind != "hu_window":
            low, high = self.spec.window_hu
            resize.append(
                Step(
                    "pipeline.transforms.HUWindowd",
                    {},
                    None,
                    {"window_hu": [low, high]},
                    why="Slices in Hounsfield units as the pictures for the screen have them that were learnt from.",
                )
            )
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


def make_plan(fingerprint: Fingerprint, spec: TaskSpec, options: PlanOptions) -> Plan:
    """Plan a bundle; the same arguments give the same plan.

    Args:
        fingerprint: Of the data.
        spec: The task.
        options: Budget, machine, limits, seed.

    Raises:
        InvalidDatalist: if the data have other classes than the task, or nothing to train on.
        InvalidOption: if no network keeps to the limits.
    """
    found = list(fingerprint["labels"].values())
    if list(map(class_key, found)) != list(map(class_key, spec.labels)):
        raise InvalidDatalist(
            f"The data have the classes {', '.join(found)}; the task {spec.name} has {', '.join(spec.labels)}. Index "
            "the masks again with --task, or give the task of these data."
        )
    if not fingerprint["cases"]["training"]:
        raise InvalidDatalist(f"{fingerprint.name}: has no training cases to plan from. Index it with another --split.")
    if not any(measures["cases"] for measures in fingerprint["classes"].values()):
        raise InvalidDatalist(
            f"{fingerprint.name}: not one pixel of the training and validation masks is of a class "
            f"({', '.join(found[1:])}), so there is nothing to learn. Check the masks' coding: planar index --help."
        )
    modality = spec.modality if fingerprint["modality"] in ("", "unknown") else fingerprint["modality"]
    described = {**fingerprint.document, "modality": modality}
    normalisation = choose_normalisation(described, spec.neighbours)
    supervision = choose_deep_supervision(spec.deep_supervision)
    scale, network, schedule = choose_size(
        described, normalisation.channels, len(spec.labels), options, supervised=supervision.value
    )
    return Plan(
        spec=spec,
        options=options,
        fingerprint=fingerprint,
        modality=modality,
        scale=scale,
        normalisation=normalisation,
        network=network,
        supervision=supervision,
        class_weights=choose_class_weights(described),
        schedule=schedule,
        augmentation=choose_augmentation(described, spec.labels, scale, spec.orientation, spec.sides, spec.emptied),
        refinement=choose_refinement(spec.regions, spec.labels, spec.unions),
    )


def _listed(value: Any) -> str:
    return "none" if value is None else str(value)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
