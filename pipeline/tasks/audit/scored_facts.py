"""What the tables of an evaluation say besides their figures, against what else the record says of it.

A page shows these facts beside the scores: which part of which data was scored, with which weights, of whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipeline.metrics import distance_unit
from pipeline.split import PARTS
from pipeline.tracking import RunFacts
from pipeline.tracking.recorded import config_artifact, datalist_artifact, recorded_cases, scored_part

__all__ = ["METADATA", "Agreement", "compare_facts", "compare_subjects"]

# Of the bundle, in the model that a training has made to be served.
METADATA = "models/best/bundle/configs/metadata.json"
# What the tables of runs that are no evaluations call the cases that they are of.
PART_OF = {"training": "validation", "cross-validation": "out of fold"}


@dataclass
class Agreement:
    """What a comparison came to.

    Attributes:
        wrong: What differs.
        untold: What the record has nothing to compare with.
    """

    wrong: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    def same(self, what: str, said: Any, expected: Any, of: str) -> None:
        """Note whether something is what something else says; None as the latter says nothing."""
        if expected is None:
            self.untold.append(what)
        elif said != expected:
            self.wrong.append(f"{what} is {said}, {of} {expected}")


def compare_facts(
    record: Mapping[str, Any], table: pd.DataFrame, run: RunFacts, training: RunFacts | None
) -> Agreement:
    """The facts of a recorded `metrics.json`.

    Args:
        record: Its content.
        table: The recorded table of cases.
        run: Whose they are: an evaluation, a fold's training, or a cross-validation.
        training: That made the weights; None if it is not there.
    """
    found = Agreement()
    counts = {"n_cases": int(table["image"].nunique()), "n_subjects": int(table["subject"].nunique())}
    for name, value in counts.items():
        found.same(name, record.get(name), value, "the table has")
    classes = [str(name) for name in record.get("classes") or ()]
    found.same("classes", classes[1:], [str(name) for name in table["class"].unique()], "the table has")
    found.same("distance_unit", record.get("distance_unit"), distance_unit(table)[0], "the table gives")
    datalist = datalist_artifact(run)
    recorded = run.json(datalist) if datalist is not None else {}
    found.same("data", record.get("data"), recorded.get("name"), "the recorded datalist is")
    weights = run.tags.get("planar.model_sha256")
    if record.get("checkpoint_sha256") is not None or run.kind == "evaluation":
        found.same("checkpoint_sha256", record.get("checkpoint_sha256"), weights, "the run's weights are")
    found.same("split", record.get("split"), PART_OF.get(run.kind) or scored_part(run), "the run has scored")
    if run.kind == "evaluation":
        _of_parts(run, found)
        expected, of = _trained_on(training)
        found.same("trained_on", record.get("trained_on"), expected, of)
    versions = (run.json("environment.json") or {}).get("versions", {})
    for package, said in dict(record.get("versions") or {}).items():
        if package in versions:
            found.same(f"version of {package}", said, versions[package], "the recorded environment has")
    return found


def _of_parts(run: RunFacts, found: Agreement) -> None:
    """Whether all that says which part was scored says the same: parameter, config, datasets, Merkle roots."""
    config = config_artifact(run)
    settings = run.json(config) if config is not None else {}
    roots = run.json("data/merkle.json")
    said = {
        "the parameter split": run.params.get("split"),
        "the executed config": settings.get("split") if isinstance(settings, Mapping) else None,
        **{f"the dataset {use.name}": use.context for use in run.datasets},
        "data/merkle.json": next(iter(roots)) if isinstance(roots, Mapping) and len(roots) == 1 else None,
    }
    known = {where: part for where, part in said.items() if part in PARTS}
    if len(set(known.values())) > 1:
        found.wrong.append(f"which part was scored: {', '.join(f'{where} {part}' for where, part in known.items())}")


def _trained_on(training: RunFacts | None) -> tuple[str | None, str]:
    """What the weights were trained on, as far as the training has recorded its bundle; and who says so."""
    metadata = training.json(METADATA) if training is not None else None
    said = metadata.get("data_source") if isinstance(metadata, Mapping) else None
    return (None if said is None else str(said)), "the bundle of the training says"


def compare_subjects(table: pd.DataFrame, run: RunFacts) -> Agreement:
    """Whether each case of the table is of the recorded datalist, with its pixels, its subject and the part scored."""
    found = Agreement()
    cases = recorded_cases(run)
    if cases is None:
        found.untold.append("subjects")
        return found
    part = scored_part(run) if run.kind == "evaluation" else None
    known = {case.name: case for case in cases}
    unnamed = 0
    for (name, subject), rows in table.groupby(["image", "subject"], sort=False):
        case = known.get(str(name))
        if case is None:
            found.wrong.append(f"{name} is not in the recorded datalist")
            continue
        if part is not None and case.part != part:
            found.wrong.append(f"{name} is of the part {case.part}, the run has scored {part}")
        if "image_sha256" in rows and set(rows["image_sha256"]) != {case.image_sha256}:
            found.wrong.append(f"{name} has other pixels than the recorded datalist says")
        if case.subject and subject != case.subject:
            found.wrong.append(f"subject of {name} is {subject}, the recorded datalist has {case.subject}")
        unnamed += not case.subject
    scored = set(table["image"])
    missing = [case.name for case in cases if part is not None and case.part == part and case.name not in scored]
    found.wrong += [f"{name} of the part {part} is not in the table" for name in missing]
    if unnamed:
        found.untold.append(f"subjects of {unnamed} cases, of which the datalist names none")
    return found
