"""Whether the description of a run, which is the first that MLflow's pages show, says what its record says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pipeline.split import PARTS
from pipeline.tasks.audit.case_tables import read_summary
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.kept_validation import kept_validation
from pipeline.tracking import RunFacts
from pipeline.tracking.headline import SELECTING
from pipeline.tracking.note import NOTE, OF_FOLDS, note_of
from pipeline.tracking.recorded import datalist_artifact
from pipeline.tracking.words import allowed

__all__ = ["check_description"]

ABOUT = "description"
NUMBER = re.compile(r"\d+(?:\.\d+)?")
DICE = ("dice_", "out_of_fold_dice_")


def check_description(run: RunFacts) -> Iterator[Check]:
    """The description, written once more. Anybody may give a run another one, which is then told to be unchecked."""
    said = run.tags.get(NOTE)
    if said is None:
        return
    # The second paragraph says by which version it was written, and how the run is checked.
    told, expected = (text.partition("\n\n")[0] for text in (said, _written(run, said)))
    more = said.partition("\n\n")[2]
    if more and not more.startswith("Planar "):
        told = said
    if told == expected:
        yield passed(ABOUT, "it says what the record says")
    elif told.partition("`")[0] == expected.partition("`")[0]:
        if _numbers(told) != _numbers(expected):
            yield failed(ABOUT, f"it does not say what the record says, which is: {expected}", [f"tag {NOTE}: {told}"])
        else:
            yield passed(ABOUT, "another version of Planar has written it, with the numbers of the record")
    else:
        yield skipped(ABOUT, "it is in other words than Planar's: what it says is not checked", essential=False)


def _numbers(text: str) -> list[str]:
    return sorted(NUMBER.findall(text))


def _written(run: RunFacts, said: str) -> str:
    path = datalist_artifact(run)
    datalist = run.json(path) if path is not None else {}
    roots = run.json("data/merkle.json")
    # The parts that a run uses have a root, and no others.
    used = {part: roots[part] for part in PARTS if part in roots} if isinstance(roots, Mapping) else {}
    step, kept = kept_validation(run)
    resumes = run.tags.get("planar.resumes")
    return note_of(
        run.kind,
        run.experiment,
        run.run_id,
        data=datalist.get("name"),
        cases={part: int(one["cases"]) for part, one in used.items()},
        best=(step, kept[SELECTING]) if run.kind == "training" and kept else None,
        values=_values(run, said),
        resumes=f"run {resumes}" if resumes and " " not in resumes else resumes,
    )


def _values(run: RunFacts, said: str) -> dict[str, float]:
    """The Dice of the classes in the order in which they were told: of many only some are, and MLflow keeps none."""
    if run.kind == "training":  # a fold is given its Dice when it has been described
        return {}
    # MLflow takes fewer letters than a class may have: the description says its own name, the metric what was taken.
    record = read_summary(run)
    classes = [str(name) for name in record["summary"]] if record is not None else []
    own = {allowed(f"{start}{name}"): f"{start}{name}" for start in DICE for name in classes}

    def place(name: str) -> int:
        found = said.find(f" {name.partition('dice_')[2]} ")
        return found if found >= 0 else len(said)

    # Older descriptions of a cross-validation have the means of its folds, too.
    of_folds = OF_FOLDS in said
    names = [name for name in run.metrics if name.startswith(DICE) and (of_folds or not name.endswith(OF_FOLDS))]
    values = {own.get(name, name): run.latest(name) for name in names}
    told = {name: value for name, value in values.items() if value is not None}
    return {name: told[name] for name in sorted(told, key=place)}
