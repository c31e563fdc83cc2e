"""A bundle's training for MONAI Label: on what was annotated, and kept only if it is better."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_list, name_to_device

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption
from pipeline.label_app.annotated import Annotated, gather
from pipeline.label_app.images import LabelledImages
from pipeline.label_app.promotion import Decision, promote, record

__all__ = ["BundleTraining"]

VALIDATION_SHARE = 0.2
DEFAULT_EPOCHS = 50
# So many validations at least, each of which may find better weights.
VALIDATIONS = 10
# Folders of former trainings that stay.
KEPT = 5


class BundleTraining(TrainTask):
    """A bundle as MONAI Label's training task. The server runs it in a process of its own, which it may end.

    Args:
        bundle: Whose copy is trained, and whose weights are replaced by better ones.
        work: The server's working folder; trainings are in its `trainings`.
    """

    def __init__(self, bundle: Bundle, work: Path) -> None:
        super().__init__(f"Training of {bundle.name} on the final labels")
        self.bundle = bundle
        self.folder = work / "trainings" / bundle.name

    def config(self) -> dict[str, Any]:
        """What clients may choose."""
        return {
            "device": device_list(),
            "max_epochs": DEFAULT_EPOCHS,
            "pretrained": True,
            "val_split": VALIDATION_SHARE,
            "subjects": "",
        }

    def stats(self) -> dict[str, Any]:
        """What came of the trainings; 3D Slicer shows `best_metric`."""
        done = record(self.bundle)
        if not done:
            return {}
        best = max((one.dice if one.taken else one.dice_before or 0.0) for one in done)
        return {
            "best_metric": round(best, 4),
            "total_time": "",
            "epoch": len(done),
            "trainings": [vars(d) for d in done],
        }

    def __call__(self, request: Mapping[str, Any], datastore: Any) -> dict[str, Any]:
        """Train, compare, and take the better weights.

        Args:
            request: `max_epochs`, `pretrained`, `val_split`, `subjects`, `device`, and `overrides`: a list of KEY=VALUE
                for the bundle's train config.
            datastore: The images.

        Raises:
            InvalidOption, InvalidSplit: before anything is trained.
            PlanarError: as `planar train` and `planar evaluate`.
        """
        if not isinstance(datastore, LabelledImages):
            raise InvalidOption("Planar trains on the images of its own app.")
        folder = self.folder / f"{datetime.now():%Y%m%d-%H%M%S}"
        folder.mkdir(parents=True)
        share = float(request.get("val_split") or VALIDATION_SHARE)
        if not 0 < share < 1:
            raise InvalidOption(f"val_split {share:g} is no share; expected one between 0 and 1.")
        data = gather(
            datastore,
            self.bundle.labels("train"),
            folder,
            share=share,
            subjects=str(request.get("subjects") or "") or None,
        )
        split = data.content.split
        say(f"{len(data.content.training)} images to train on, {len(data.content.validation)} to choose by")
        say(f"{split['subjects']} subjects, by {split['subjects_from']}")
        if data.content.refused:  # without the reasons, which name images
            say(f"{len(data.content.refused)} labels left out: {folder / 'datalist.json'} says why")
        decision = self._train(data, folder, request)
        self._tidy()
        return {"decision": vars(decision)}

    def _train(self, data: Annotated, folder: Path, request: Mapping[str, Any]) -> Decision:
        from pipeline.tasks.train import train

        pretrained = str(request.get("pretrained", True)).lower() not in ("false", "0")
        epochs = int(request.get("max_epochs") or DEFAULT_EPOCHS)
        overrides = [
            f"max_epochs={epochs}",
            f"val_interval={max(1, epochs // VALIDATIONS)}",
            *_device(request.get("device")),
            *map(str, request.get("overrides") or ()),
        ]
        begin = pretrained and self.bundle.weights.is_file()
        result = train(
            str(self.bundle.root),
            data.path,
            folder / "candidate",
            overrides,
            start_from=str(self.bundle.weights) if begin else None,
            handlers=[Told()],
            tags=_tags(data),
        )
        for note in result.notes:
            say(note)
        after = _dice(result.bundle, data, folder / "scores")
        before = _dice(self.bundle, data, folder / "scores_before") if self.bundle.weights.is_file() else None
        decision = promote(
            self.bundle,
            result.bundle.weights,
            dice=after,
            dice_before=before,
            cases=len(data.content.validation),
            run_id=result.run_id,
        )
        than = "there was no model before" if before is None else f"the model before has {before:.4f}"
        say(f"validation Dice {after:.4f}, {than}: {'taken' if decision.taken else 'not taken'}")
        return decision

    def _tidy(self) -> None:
        for old in sorted(self.folder.iterdir())[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


class Told:
    """Handler that says each epoch in a line, which MONAI Label hands to clients as the training's details."""

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.tell)

    def tell(self, engine: Engine) -> None:
        """Say it."""
        say(f"epoch {engine.state.epoch} of {engine.state.max_epochs}")


def say(line: str) -> None:
    """A line of progress."""
    print(line, flush=True)


def _device(wanted: Any) -> list[str]:
    name = wanted[0] if isinstance(wanted, list) and wanted else wanted
    device = str(name_to_device(str(name))) if name else ""
    return [f"device=$torch.device('{device}')"] if device.replace(":", "").isalnum() else []


def _tags(data: Annotated) -> dict[str, str]:
    """Whose labels these were, by pseudonyms and digests."""
    from pipeline.tracking import merkle_root

    told = {
        name: {"labels": len(digests), "merkle_root": merkle_root(map(bytes.fromhex, digests))}
        for name, digests in sorted(data.annotators.items())
    }
    return {"planar.annotators": json.dumps(told)}


def _dice(bundle: Bundle, data: Annotated, out: Path) -> float:
    """Mean Dice over classes and images of the validation set, at full size: the same rule for both models."""
    from pipeline.tasks.evaluate import evaluate

    scored = evaluate(str(bundle.root), data.path, "validation", out, masks=False, overwrite=True, tracking=False)
    return float(scored.summary["mean_of_classes"]["per_image"]["dice"]["mean"] or 0.0)
