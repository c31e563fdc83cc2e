"""What an evaluation does not show, said from its own facts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipeline.bundle import Bundle, keeps_last
from pipeline.datalist import sets_in
from pipeline.errors import InvalidBundle
from pipeline.gate import gate_path
from pipeline.report.evaluation import EvaluationView
from pipeline.report.fingerprint_facts import near_duplicates_of
from pipeline.report.material import Material
from pipeline.report.measures import MEASURES
from pipeline.report.privacy import without_folders

__all__ = ["Limit", "limits_of"]

# Under this many the percentiles of resampled means are too close together; a rule of thumb.
FEW_SUBJECTS = 20


@dataclass(frozen=True)
class Limit:
    """One limit.

    Attributes:
        code: A short name, for machines.
        text: One or two sentences with the figures.
        grave: Whether it touches the main figures themselves.
    """

    code: str
    text: str
    grave: bool = False


def limits_of(material: Material) -> list[Limit]:
    """The limits of what was measured, the grave ones first."""
    evaluation = material.evaluation
    found = [
        *_split(material),
        *_weights(material),
        *_origin(evaluation),
        *_number(evaluation),
        *_width(evaluation),
        *_subjects(material),
        *_near_duplicates(material),
        *_empty_masks(evaluation),
        *_rare_classes(evaluation),
        *_distances(material),
        *_refused(material),
        *_notes(evaluation),
        *_reference(evaluation),
        *_gate(material),
    ]
    return sorted(found, key=lambda limit: not limit.grave)


def _split(material: Material) -> Iterator[Limit]:
    evaluation = material.evaluation
    if evaluation.out_of_fold:
        return
    if evaluation.split != "test" and _cross_validated(material.bundle):
        yield Limit(
            "cross_validated_cases",
            "The networks come of a cross-validation, in which training and validation cases have trained all of them "
            "but one: if these are those cases, the figures say little of others.",
            True,
        )
    elif evaluation.trained_on and not _trained_on_its_set(evaluation):
        return  # what another set calls its training part has trained nothing here
    elif evaluation.split == "training":
        yield Limit(
            "training_cases",
            "These cases trained the network: the figures say nothing of others.",
            True,
        )
    elif evaluation.split == "validation":
        yield _validation(material)


def _validation(material: Material) -> Limit:
    """What the validation cases did, which depends on the weights that the training keeps."""
    code, chosen = "validation_cases", "These cases chose the checkpoint"
    if material.bundle is None or material.same_weights is False or not _has_training(material.bundle):
        return Limit(code, f"{chosen}, unless the training kept its last: their scores may be a little too good.", True)
    if not keeps_last(material.bundle):
        return Limit(code, f"{chosen}: their scores are a little too good.", True)
    return Limit(
        code,
        "These cases were scored during the training, but did not choose the checkpoint, which is its last. Settings "
        "that were tried on them are favoured by them all the same.",
    )


def _has_training(bundle: Bundle) -> bool:
    try:
        return bundle.config("train").is_file()
    except InvalidBundle:
        return False


def _cross_validated(bundle: Bundle | None) -> bool:
    if bundle is None or not bundle.metadata.is_file():
        return False
    facts = json.loads(bundle.metadata.read_text(encoding="utf-8")).get("planar", {})
    return "cross_validated_on_sha256" in facts


def _weights(material: Material) -> Iterator[Limit]:
    if material.same_weights is False and material.bundle is not None:
        yield Limit(
            "other_weights",
            f"The weights that now lie in {material.bundle.name} are not those that were evaluated: curves and "
            "settings may be those of another training.",
            True,
        )


def _trained_on_its_set(evaluation: EvaluationView) -> bool:
    """Whether one of the sets that trained the network is measured."""
    return bool(sets_in(evaluation.trained_on.partition(" (")[0]) & sets_in(evaluation.data))


def _origin(evaluation: EvaluationView) -> Iterator[Limit]:
    trained, tested = evaluation.trained_on, evaluation.data
    if not trained:
        yield Limit(
            "unknown_training",
            "What the bundle was trained on is not recorded: whether these cases are new to it is not known.",
            True,
        )
    elif _trained_on_its_set(evaluation):
        new = ", each case measured by the network of a fold that is new to it" if evaluation.out_of_fold else ""
        yield Limit(
            "same_set",
            f"Trained and measured on one set ({tested}){new}. Other hospitals and scanners are not measured; "
            "scores there are usually lower.",
        )
    else:
        yield Limit(
            "origin",
            f"Trained on: {trained}. Measured on: {tested}. From how many sites and scanners {tested} comes is not "
            "recorded, so nothing is said by site.",
        )


def _number(evaluation: EvaluationView) -> Iterator[Limit]:
    subjects, images = evaluation.n_subjects, len(evaluation.images)
    tail = max(1, math.ceil(0.05 * images))
    text = f"{_count(subjects, 'subject')}, {_count(images, 'image')}. The worst twentieth is {_count(tail, 'image')}: "
    if subjects < FEW_SUBJECTS:
        text += (
            f"with fewer than {FEW_SUBJECTS} subjects the intervals are themselves uncertain, and rather too narrow."
        )
        yield Limit("few_subjects", text, True)
    else:
        yield Limit("number", text + "what is said of the tail rests on these.")


def _width(evaluation: EvaluationView) -> Iterator[Limit]:
    widths = []
    for name in evaluation.classes:
        figures = evaluation.summary[name]["per_subject"].get("dice", {})
        if figures.get("ci_low") is not None and figures.get("ci_high") is not None:
            widths.append((figures["ci_high"] - figures["ci_low"], name))
    if not widths:
        yield Limit(
            "no_intervals", "There are no intervals: how far other cases would move the figures is not known.", True
        )
        return
    width, name = max(widths)
    where = f" of {name}" * (len(evaluation.classes) > 1)
    yield Limit(
        "interval_width",
        f"The 95 % interval of mean Dice{where} is {width:.3f} wide: a change smaller than about {width / 2:.3f} "
        "cannot be seen in these means (planar compare, which pairs the cases, sees smaller ones). It covers "
        "the choice of cases, not that of the training run.",
    )


def _subjects(material: Material) -> Iterator[Limit]:
    source = str(material.datalist.split.get("subjects_from", "")) if material.datalist is not None else ""
    images, subjects = len(material.evaluation.images), material.evaluation.n_subjects
    if "one subject a file" in source or (not source and images == subjects):
        yield Limit(
            "subjects_unknown",
            "Every file counts as a subject of its own, because none are named: if some are of one person, the "
            "intervals are too narrow, and a person may be on both sides of the split.",
        )


def _near_duplicates(material: Material) -> Iterator[Limit]:
    fingerprint, evaluation = material.fingerprint, material.evaluation
    known = sets_in(str(fingerprint.get("name"))) if fingerprint is not None else set()
    if fingerprint is None or not sets_in(evaluation.data) <= known:
        yield Limit(
            "near_duplicates_unknown",
            "Whether a case here nearly repeats one of the training is not known: no fingerprint of "
            f"{evaluation.data} was given (planar inspect).",
        )
        return
    trained = sets_in(evaluation.trained_on.partition(" (")[0])
    if not trained <= known:
        yield Limit(
            "near_duplicates_unknown",
            f"Whether a case here nearly repeats one of {', '.join(sorted(trained - known))}, which trained the "
            "network, is not known: the fingerprint is not of it.",
        )
    across = near_duplicates_of(fingerprint, evaluation.split)
    if across:
        named = len(fingerprint["near_duplicates"]) == fingerprint.get("near_duplicates_across", len(across))
        pairs = f"{'' if named else 'at least '}{_count(len(across), 'pair')}"
        yield Limit(
            "near_duplicates",
            f"Nearly equal pictures: {pairs} with one in {evaluation.split} and the other in another part. "
            "Their scores are too good.",
            True,
        )


def _empty_masks(evaluation: EvaluationView) -> Iterator[Limit]:
    if not {"reference_pixels", "predicted_pixels"} <= {*evaluation.cases.columns}:
        return
    for name in evaluation.classes:
        rows = evaluation.cases[evaluation.cases["class"] == name]
        empty = rows[rows["reference_pixels"] == 0]
        missed = rows[(rows["reference_pixels"] > 0) & (rows["predicted_pixels"] == 0)]
        if len(empty):
            invented = int((empty["predicted_pixels"] > 0).sum())
            yield Limit(
                "empty_masks",
                f"{name} is absent from the reference in {_count(len(empty), 'image')}: {len(empty) - invented} of "
                f"them, where nothing is predicted either, count in no mean; {invented}, where something is, are 0.",
            )
        if len(missed):
            yield Limit(
                "missed",
                f"{name} is not found at all in {_count(len(missed), 'image')} that have it: Dice 0, and distances "
                "take the largest value that the rule allows.",
                grave=len(missed) > 0.05 * len(rows),
            )


def _rare_classes(evaluation: EvaluationView) -> Iterator[Limit]:
    total = evaluation.n_subjects
    for name in evaluation.classes:
        own = evaluation.cases[(evaluation.cases["class"] == name) & evaluation.cases["dice"].notna()]
        subjects = own["subject"].nunique()
        if subjects < FEW_SUBJECTS <= total or (subjects < 0.5 * total):
            text = f"{name} has a score in {subjects} of {_count(total, 'subject')}: its figures rest on these alone."
            yield Limit("rare_class", text)


def _distances(material: Material) -> Iterator[Limit]:
    evaluation = material.evaluation

    measured = [measure for measure in MEASURES if measure.has_unit and measure in evaluation.measures]
    if not measured:
        return
    rows = evaluation.cases.drop_duplicates("image")
    in_pixels = int((rows.get("distance_unit", pd.Series(dtype=str)) == "px").sum())
    if in_pixels == len(rows):
        yield Limit(
            "pixels",
            f"The pixel size of no image is known: distances and areas are in pixels{_sizes(material)}, and cannot be "
            "compared with millimetres of other work.",
        )
    elif in_pixels:
        used = len(rows) - in_pixels if evaluation.unit == "mm" else in_pixels
        yield Limit(
            "mixed_units",
            f"The pixel size of {in_pixels} of {_count(len(rows), 'image')} is unknown. Figures of distances are over "
            f"the {_count(used, 'image')} that have them in {evaluation.unit}; the others are in cases.csv alone.",
            True,
        )
    tolerance = evaluation.record.get("nsd_tolerance", {}).get(evaluation.unit)
    if tolerance is not None and any(measure.key == "nsd" for measure in evaluation.measures):
        yield Limit(
            "tolerance",
            f"Surface Dice forgives {tolerance:g} {evaluation.unit}. That is a choice, not what readers of these "
            "images were found to differ by.",
        )


def _refused(material: Material) -> Iterator[Limit]:
    if material.datalist is not None and material.datalist.refused:
        count = len(material.datalist.refused)
        yield Limit(
            "refused",
            f"planar index refused {_count(count, 'file')} of this set (see Data): how the model does on them is not "
            "in the figures.",
        )


def _reference(evaluation: EvaluationView) -> Iterator[Limit]:
    yield Limit(
        "one_reference",
        f"Each image has one reference mask, taken as true. How far two readers of {evaluation.data} would differ is "
        "not measured, so no score here says better or worse than a person.",
    )


def _sizes(material: Material) -> str:
    """The range of the images' longer sides, where it is known and not one size."""
    items = material.source.items if material.source is not None else {}
    longest = [max(item["shape"]) for item in items.values() if item.get("shape")]
    if not longest or min(longest) == max(longest):
        return ""
    return f" of images whose longer side has {min(longest)} to {max(longest)} of them"


def _notes(evaluation: EvaluationView) -> Iterator[Limit]:
    for note in evaluation.record.get("notes") or ():
        # The spacing is told above, with the figures.
        if not str(note).startswith("The spacing is known of some"):
            yield Limit("note", without_folders(str(note)))


def _gate(material: Material) -> Iterator[Limit]:
    """What the gate's decisions on these images do not show; nothing where there are none, or no word of its making."""
    evaluation = material.evaluation
    if evaluation.gate is None or material.bundle is None or not gate_path(material.bundle).is_file():
        return
    try:
        record = json.loads(gate_path(material.bundle).read_text(encoding="utf-8"))
        origin = record["fitted_on"]
        fitted_here = (origin["data"], origin["part"]) == (evaluation.data, evaluation.split)
        unproved = record["held_out"] is None
    except (ValueError, KeyError, TypeError):
        return
    if fitted_here:
        yield Limit(
            "gate_fitted_here",
            "The gate's figures are of the masks it was fitted to: on others it does worse.",
            True,
        )
    elif unproved:
        yield Limit(
            "gate_in_sample",
            "The limit and the intervals of the gate come, all or in part, from the masks it was fitted to: "
            "both hope too much.",
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
