"""One round: train on what is labelled, score the model, and choose what is labelled next."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.active_learning.pool import Pool
from benchmarks.cases import Case
from pipeline.bundle import Bundle, find_bundle
from pipeline.label_app.annotated import gather
from pipeline.label_app.folder import FolderOfImages
from pipeline.label_app.scoring import Scores
from pipeline.label_app.segmenting import BundleSegmentation
from pipeline.label_app.strategies import Anyone, ByScores
from pipeline.metrics import overlap_scores

__all__ = ["RANDOM", "Settings", "choose", "dice_of", "train_on"]

RANDOM = "random"
VALIDATION_SHARE = 0.2
# In each training; any of them may find better weights.
VALIDATIONS = 10
# Of an epoch, at least.
STEPS = 20


@dataclass(frozen=True)
class Settings:
    """How each model is trained.

    Attributes:
        bundle: Whose configs; it has no weights.
        pictures: That the network sees in a training, each as often as it takes, however many have labels.
        overrides: Of its train config.
    """

    bundle: Path
    pictures: int
    overrides: tuple[str, ...] = ()


def train_on(pool: Pool, labelled: Sequence[str], folder: Path, settings: Settings, seed: int) -> dict[str, Any]:
    """Train a model from random weights on what the app makes of labels: split by subject, the best validation kept.

    Args:
        pool: The films.
        labelled: Those with labels.
        folder: New; the trained bundle is its `bundle`.
        settings: Of the training.
        seed: Of its weights and of its order.
    Returns: Numbers of films that were trained on and validated on, and of epochs.
    """
    from pipeline.tasks.train import train

    shutil.rmtree(folder, ignore_errors=True)
    images = pool.opened(folder, labelled)
    data = gather(images, pool.labels, folder, share=VALIDATION_SHARE)
    size = len(data.content.training)
    config = yaml.safe_load(Bundle(settings.bundle, settings.bundle.name).config("train").read_text(encoding="utf-8"))
    steps = -(-size // int(config["batch_size"]))
    # Few films make an epoch of few steps, and what is done once an epoch would take longer than they do.
    repeats = -(-STEPS // steps) if "repeats" in config else 1
    epochs = max(1, round(settings.pictures / (size * repeats)))
    overrides = [f"repeats={repeats}"] if "repeats" in config else []
    overrides += [f"max_epochs={epochs}", f"val_interval={max(1, epochs // VALIDATIONS)}", f"patience={epochs}"]
    overrides += [f"seed={seed}", *settings.overrides]
    train(str(settings.bundle), data.path, folder / "bundle", overrides, tracking=False)
    (folder / "bundle" / "models" / "last.pt").unlink(missing_ok=True)
    shutil.rmtree(folder / "studies")
    return {"training": size, "validation": len(data.content.validation), "epochs": epochs, "repeats": repeats}


def choose(pool: Pool, labelled: Sequence[str], number: int, folder: Path, strategy: str, seed: int) -> list[str]:
    """The films that a strategy of the app hands out, one after the other, each labelled before the next is asked for.

    Args:
        pool: The films.
        labelled: Those with labels, in the order in which they came.
        number: How many are to have labels then.
        folder: Of the model that says what it is unsure of; nothing of it is used at random.
        strategy: "random", "uncertainty", "diversity" or "both".
        seed: Of chance.
    Returns: All with labels.
    """
    aside = folder / "choosing"
    shutil.rmtree(aside, ignore_errors=True)
    images = pool.opened(aside, labelled)
    random.seed(f"{seed} {number}")
    offering = Anyone() if strategy == RANDOM else _by_scores(images, folder, strategy)
    chosen = list(labelled)
    while len(chosen) < number:
        offered = offering({"client_id": "annotator"}, images)
        if offered is None:
            break
        pool.annotate(images, offered["id"])
        chosen.append(offered["id"])
    shutil.rmtree(aside)
    return chosen


def dice_of(cases: Sequence[Case], bundle: Bundle) -> list[float]:
    """Dice of each film at its own size, mean over the classes that it has."""
    from pipeline.tasks.infer.predictor import Predictor

    predict = Predictor(bundle, (bundle.weights,), {})
    found = []
    for case in cases:
        (result,) = predict([case.image])
        one, other = (
            torch.nn.functional.one_hot(torch.from_numpy(mask.astype(np.int64)), case.n_classes).movedim(-1, 0)[1:]
            for mask in (result.mask, case.reference())
        )
        found.append(float(overlap_scores(one, other)["dice"].nanmean()))
    return found


def _by_scores(images: FolderOfImages, folder: Path, kind: str) -> ByScores:
    task = BundleSegmentation(find_bundle(str(folder / "bundle")))
    scores = Scores(task, images, folder / "scores", background=False)
    scores.complete()
    return ByScores(scores, kind)
