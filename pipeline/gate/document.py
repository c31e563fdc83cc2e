"""The gate of a bundle, and its file models/gate.json."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.bundle import Bundle
from pipeline.digests import file_sha256
from pipeline.errors import InvalidBundle
from pipeline.gate.dice_model import Band, DiceModel
from pipeline.gate.perturb import View
from pipeline.gate.place import gate_path
from pipeline.gate.reference import Reference
from pipeline.gate.rules import Rules, broken_rules, read_rules
from pipeline.gate.signals import ClassSignals
from pipeline.gate.verdict import Verdict

__all__ = ["FORMAT", "Gate", "read_gate", "settings_sha256"]

FORMAT = "planar-gate/1"
# What of inference.yaml makes a prediction what it is; the rest says where files lie and what is printed.
SETTINGS = (
    "labels",
    "image_size",
    "network_def",
    "autocast",
    "preprocessing",
    "inferer",
    "postprocessing",
    "refinement",
    "test_time_flips",
)
# What these refer to counts as well, but for where things lie and are done.
PLACES = ("bundle_root", "dataset_dir", "output_dir", "output_ext", "ckpt_path", "device")
_NAMED = re.compile(r"@(\w+)")


@dataclass(frozen=True, eq=False)
class Gate:
    """Everything that is needed to judge a prediction of one bundle.

    Attributes:
        labels: Class index → name.
        models: Of each class but the background, by name.
        band: Interval of the Dice.
        reference: The training pictures.
        views: How pictures are changed to see whether the prediction holds.
        dice_limit: The lowest predicted Dice that is accepted.
        distance_limit: The greatest distance that is accepted.
        rules: Of plausibility.
        record: What it was fitted on, and how well it does, for people.
    """

    labels: Mapping[int, str]
    models: Mapping[str, DiceModel]
    band: Band
    reference: Reference
    views: tuple[View, ...]
    dice_limit: float
    distance_limit: float
    rules: Rules
    record: Mapping[str, Any]

    def judge(self, signals: ClassSignals, distance: float, mask: NDArray[np.uint8]) -> Verdict:
        """Judge one prediction.

        Args:
            signals: Of its classes.
            distance: Of its picture.
            mask: The finished mask, (W, H), class indices.
        """
        by_class = self.predict(signals)
        known = [value for value in by_class.values() if value is not None]
        predicted = float(np.mean(known)) if known else None
        far = not distance <= self.distance_limit  # so that what is no number is far
        reasons = []
        if not math.isfinite(distance):
            reasons.append("The network's answers are no numbers: the picture or the weights are damaged.")
        elif far:
            reasons.append(
                f"The picture is unlike those of the training set (distance {distance:.2f}, limit "
                f"{self.distance_limit:.2f})."
            )
        if predicted is not None and predicted < self.dice_limit:
            reasons.append(f"Predicted Dice {predicted:.3f}, limit {self.dice_limit:.3f}.")
        if predicted is None and not self._may_be_empty():
            reasons.append("Nothing was found.")
        reasons += broken_rules(mask, self.labels, self.rules)
        return Verdict(
            decision="review" if reasons else "accept",
            reasons=tuple(reasons),
            predicted_dice=predicted,
            interval=None if predicted is None or far else self.band.interval(predicted),
            by_class=by_class,
            distance=distance,
        )

    def predict(self, signals: ClassSignals) -> dict[str, float | None]:
        """Predicted Dice by class; None where it was not found."""
        names = [name for index, name in sorted(self.labels.items()) if index != 0]
        found: dict[str, float | None] = {}
        for number, name in enumerate(names):
            one = slice(number, number + 1)
            predicted = self.models[name].predict(signals.confidence[one], signals.agreement[one])
            found[name] = None if signals.absent[number] else float(predicted[0])
        return found

    def _may_be_empty(self) -> bool:
        names = [name for index, name in self.labels.items() if index != 0]
        rules = [self.rules.classes.get(name) for name in names]
        return all(rule is not None and rule.present == "sometimes" for rule in rules)

    def document(self) -> dict[str, Any]:
        """The content of gate.json; the rules stay in quality.yaml."""
        return {
            "format": FORMAT,
            **self.record,
            "labels": {str(index): name for index, name in self.labels.items()},
            "limits": {"predicted_dice": round(self.dice_limit, 4), "distance": round(self.distance_limit, 4)},
            "views": [[view.scale, view.degrees, view.gamma] for view in self.views],
            "models": {name: model.document() for name, model in self.models.items()},
            "band": self.band.document(),
            "reference": self.reference.document(),
        }


def read_gate(bundle: Bundle) -> Gate:
    """The gate of a bundle.

    Raises:
        InvalidBundle: if there is none, it cannot be read, or it was fitted to other weights or settings.
    """
    path = gate_path(bundle)
    again = f"Fit it: planar calibrate {bundle.typed} --data datalist.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        gate = _gate_of(document, bundle)
        fitted_to, settings = str(document["checkpoint_sha256"]), document["settings_sha256"]
    except FileNotFoundError:
        raise InvalidBundle(f"{path} is not there: the bundle has no gate. {again}") from None
    except InvalidBundle:  # of quality.yaml
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = " ".join(str(error).split())[:80]
        raise InvalidBundle(f"{path}: is no gate of this version ({what}). {again} --overwrite") from None
    weights = file_sha256(bundle.weights)
    if fitted_to != weights:
        raise InvalidBundle(
            f"{path}: was fitted to the weights {fitted_to[:12]}…, models/model.pt is {weights[:12]}…: it would speak "
            f"of another network. {again} --overwrite"
        )
    if settings != settings_sha256(bundle):
        raise InvalidBundle(
            f"{path}: configs/inference.yaml has changed since it was fitted: the network would get other pictures. "
            f"{again} --overwrite"
        )
    return gate


def _gate_of(document: Mapping[str, Any], bundle: Bundle) -> Gate:
    if document.get("format") != FORMAT:
        raise ValueError(f"format {document.get('format')!r}, expected {FORMAT!r}")
    labels = {int(index): str(name) for index, name in document["labels"].items()}
    rules = read_rules(bundle.root / "configs" / "quality.yaml", labels)
    limits = {**document["limits"], **rules.limits}
    structure = ("format", "labels", "limits", "views", "models", "band", "reference")
    return Gate(
        labels=labels,
        models={str(name): DiceModel(**part) for name, part in document["models"].items()},
        band=Band(**document["band"]),
        reference=Reference.from_document(document["reference"]),
        views=tuple(View(*map(float, part)) for part in document["views"]),
        dice_limit=float(limits["predicted_dice"]),
        distance_limit=float(limits["distance"]),
        rules=rules,
        record={key: value for key, value in document.items() if key not in structure},
    )


def settings_sha256(bundle: Bundle) -> str:
    """SHA-256 of what of inference.yaml decides on a prediction; comments and paths do not count."""
    content = yaml.safe_load(bundle.config("inference").read_text(encoding="utf-8"))
    chosen = {key: content[key] for key in SETTINGS if key in content}
    steps: Sequence[Any] = (chosen.get("postprocessing") or {}).get("transforms") or ()
    if steps:
        names = [step.get("_target_") if isinstance(step, dict) else "" for step in steps]
        # What stands behind it shapes the files of others, and changes no class.
        chosen["postprocessing"] = list(steps[: names.index("SaveImaged")] if "SaveImaged" in names else steps)
    waiting = list(chosen)
    while waiting:
        named = _NAMED.findall(json.dumps(chosen[waiting.pop()], default=str))
        found = [key for key in dict.fromkeys(named) if key in content and key not in {*chosen, *PLACES}]
        chosen |= {key: content[key] for key in found}
        waiting += found
    return hashlib.sha256(json.dumps(chosen, sort_keys=True, default=str).encode("utf-8")).hexdigest()
