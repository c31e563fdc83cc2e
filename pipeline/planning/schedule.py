"""Batch, epochs and caching for the time and memory that there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.memory import CACHE_SHARE
from pipeline.planning.choice import Choice
from pipeline.planning.machine import VALIDATION_SHARE, Machine, classes_gb, step_gb
from pipeline.planning.scale import Scale
from pipeline.planning.supervision import STEP_COST, supervised_gb

__all__ = ["Schedule", "choose_schedule"]

# Enough pictures in a step for a steady gradient, few enough for many steps.
BATCH_MEGAPIXELS = {"cpu": 0.82, "gpu": 3.3}
BATCHES = (2, 16)
PATCHES_A_PICTURE = 4
VALIDATIONS = 50
# Pictures that an epoch is chosen by. With 9 of them the lungs on CT had Dice 0.965 in the test part at the epoch that
# was best in validation, and 0.970 at the last one; with 2 of them a training ended when it had hardly begun.
TO_CHOOSE_BY = 10
# Fewer steps an epoch than this, and its end (checkpoint, metrics, log) takes longer than its steps.
STEPS_AN_EPOCH = 25
EPOCHS = (10, 1000)
# What a budget is not spent on: start, caching, and a machine that is a little slower than the nominal one.
USED_SHARE = 0.9
# With the overlap of sliding windows counted, half of that may be used.
WITH_OVERLAP = 0.95
OVERLAP = 0.5  # of the windows, as the templates have it for patches
# The most that validation by windows may take of the training's own time.
VALIDATED_SHARE = 1 / 3
SECONDS_AN_EPOCH = 0.6  # checkpoint, metrics, log


@dataclass(frozen=True)
class Schedule:
    """The course of a training; each with its reason.

    Attributes:
        batch_size: Pictures a step.
        patches: Patches that are cut from each picture; 1 if the whole picture is taken.
        repeats: How often an epoch takes each picture.
        epochs, val_interval, patience: Epochs.
        keep: Whose weights are kept: of the "best" validation, or of the "last".
        cache_rate: Share of the pictures that stay decoded in memory.
        case_gb: Of a picture and its mask, decoded.
        learning_rate: At its highest.
        seconds: Of the whole training, by the nominal speed.
        seen: Pictures that the training sees, each as often as it does.
        step_gb: Memory that a step holds.
    """

    batch_size: Choice
    patches: int
    repeats: Choice
    epochs: Choice
    val_interval: Choice
    patience: Choice
    keep: Choice
    cache_rate: Choice
    case_gb: float
    learning_rate: Choice
    seconds: float
    seen: int
    step_gb: float


def choose_schedule(
    fingerprint: Mapping[str, Any],
    scale: Scale,
    channels: tuple[int, int],
    parameters: int,
    classes: int,
    machine: Machine,
    budget_s: float,
    supervised: bool = False,
) -> Schedule:
    """Spend the budget.

    Args:
        fingerprint: Of the data.
        scale: Size of the network's input.
        channels: Of the picture, and of the network at full resolution.
        parameters: Of the network.
        classes: With the background.
        machine: What it runs on.
        budget_s: Wall clock of the whole training, s.
        supervised: Whether the network has deep supervision, which takes more time and memory.
    """
    cases, validation = fingerprint["cases"]["training"], fingerprint["cases"]["validation"]
    patches = PATCHES_A_PICTURE if scale.mode == "patch" else 1

    def held(megapixels: float) -> float:
        if supervised:
            return supervised_gb(megapixels, channels[1], classes) + step_gb(0.0, channels[1], parameters, classes)
        return step_gb(megapixels, channels[1], parameters, classes)

    wanted = BATCH_MEGAPIXELS[machine.device]
    least = min(BATCH_MEGAPIXELS.values())  # below it a narrower network is the better way to save memory
    while wanted > least and held(wanted) > machine.step_gb:
        wanted = max(least, wanted / 2)
    one = patches * scale.megapixels
    inputs = round(wanted / scale.megapixels)
    batch = max(1, min(max(BATCHES[0], min(BATCHES[1], inputs)) // patches, max(1, cases // 2)))
    # What the classes hold a narrower network does not save; fewer pictures do.
    while batch > 1 and held(one * batch) > machine.step_gb and 2 * classes_gb(one * batch, classes) > machine.step_gb:
        batch -= 1
    speed = machine.training_megapixels(channels[1], STEP_COST if supervised else 1.0)
    whole = fingerprint["size"]["longest"]["median"] ** 2 / 1e6 if scale.mode == "patch" else scale.megapixels
    repeats = max(1, math.ceil(STEPS_AN_EPOCH * batch / max(cases, 1)))
    training_s = max(cases, 1) * repeats * one / speed
    once_s = validation * whole / speed * VALIDATION_SHARE  # each pixel computed once
    windows_s, seldom = once_s, 1
    if scale.mode == "patch":
        windows_s = validation * _window_megapixels(fingerprint, scale) / speed * VALIDATION_SHARE
        seldom = max(1, math.ceil(windows_s / (VALIDATED_SHARE * training_s)))

    def epoch_s(validation_s: float, interval: int) -> float:
        return training_s + validation_s / interval + SECONDS_AN_EPOCH

    def course(interval: int) -> int:
        once = USED_SHARE * budget_s / epoch_s(once_s, interval)
        return int(min(once, WITH_OVERLAP * budget_s / epoch_s(windows_s, interval)))

    interval = max(seldom, round(course(seldom) / VALIDATIONS))
    epochs = max(EPOCHS[0], min(EPOCHS[1], course(interval)))
    interval = max(1, round(epochs / VALIDATIONS))
    if epochs < seldom:  # one validation, at the end, is the least
        left = WITH_OVERLAP * budget_s - windows_s
        epochs = interval = max(EPOCHS[0], min(epochs, int(left / epoch_s(0.0, 1))))
    elif interval < seldom:  # as many as there is time for, evenly laid: no epochs are left over
        interval = epochs // (epochs // seldom)
    epochs -= epochs % interval  # the last epoch is validated
    keep = _keep(validation)
    seconds = epochs * epoch_s(windows_s, interval)
    case_gb = whole * 4 * (channels[0] + 1) / 1000
    decoded_gb = cases * case_gb
    room = CACHE_SHARE * machine.memory_gb
    cached = min(1.0, int(100 * room / decoded_gb) / 100) if decoded_gb else 1.0
    return Schedule(
        batch_size=Choice(batch, _why_batch(batch, patches, scale)),
        patches=patches,
        repeats=Choice(
            repeats, f"times that an epoch takes each picture, so that it has {STEPS_AN_EPOCH} steps or more"
        ),
        epochs=Choice(epochs, _why_epochs(epochs, seconds, budget_s, machine, cases * repeats)),
        val_interval=Choice(interval, _why_interval(interval, epochs)),
        patience=_patience(epochs, interval, keep.value),
        keep=keep,
        cache_rate=Choice(cached, _why_cached(cached, decoded_gb, room)),
        case_gb=case_gb,
        learning_rate=Choice(0.002, "for AdamW, residual U-Nets with instance norm and warm-up, at these batches"),
        seconds=seconds,
        seen=epochs * max(cases, 1) * repeats,
        step_gb=held(batch * one),
    )


def _window_megapixels(fingerprint: Mapping[str, Any], scale: Scale) -> float:
    """Of all windows that validation slides over a median picture: with their overlap three to four times its own."""
    windows = 1
    for side, length in zip(("width", "height"), scale.size, strict=True):
        beyond = fingerprint["size"][side]["median"] - length
        windows *= max(1, math.ceil(beyond / (length * (1 - OVERLAP))) + 1)
    return windows * scale.megapixels


def _why_interval(interval: int, epochs: int) -> str:
    if interval <= max(1, round(epochs / VALIDATIONS)):
        return f"about {VALIDATIONS} validations in all"
    count = f"{epochs // interval} validation{'s' if epochs // interval > 1 else ''} in all"
    return f"{count}: overlapping windows of large pictures take long"


def _why_cached(share: float, decoded_gb: float, room: float) -> str:
    told = f"decoded pictures and masks stay in memory: {decoded_gb:.2g} GB in all, {room:.2g} GB may be used"
    return told if share == 1 else f"{told}. The others stay on disk ($PLANAR_CACHE, else ~/.cache/planar), decoded"


def _keep(validation: int) -> Choice:
    """What few cases like best is chance, and often early: the end of a falling learning rate is better."""
    if validation >= TO_CHOOSE_BY:
        return Choice("best", f"the weights of the best validation, of {validation} pictures")
    told = f"the weights of the last validation: {validation or 'no'} pictures are too few to choose an epoch by"
    return Choice("last", told)


def _patience(epochs: int, interval: int, keep: str) -> Choice:
    if keep == "last":
        return Choice("$@max_epochs", "nothing ends a training early that few pictures validate")
    return Choice(max(10 * interval, round(0.3 * epochs)), "epochs without a better validation before training ends")


def _why_batch(batch: int, patches: int, scale: Scale) -> str:
    total = batch * patches * scale.megapixels
    if patches > 1:
        return f"pictures a step, {patches} patches of each: {total:.2g} megapixels"
    return f"pictures a step: {total:.2g} megapixels"


def _why_epochs(epochs: int, seconds: float, budget_s: float, machine: Machine, seen: int) -> str:
    device = "a GPU" if machine.device == "gpu" else f"{machine.cores} CPU cores"
    told = f"about {seconds / 60:.0f} min on {device} (budget {budget_s / 60:g} min), {epochs * seen} pictures seen"
    if seconds > budget_s:
        return f"{told}: fewer than {EPOCHS[0]} epochs teach nothing, so the budget is exceeded"
    return f"{told}: more is not of use" if epochs >= EPOCHS[1] else told
