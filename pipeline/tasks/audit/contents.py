"""Which files of which runs go into a pack."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption
from pipeline.split import PARTS
from pipeline.tasks.audit.case_tables import CASES
from pipeline.tasks.audit.pack import is_name
from pipeline.tracking import RunFacts
from pipeline.tracking.manifest import MANIFEST
from pipeline.tracking.recorded import datalist_artifact

__all__ = ["PackContents", "contents_of", "names_files", "require_no_names"]

CHECKPOINT = ".pt"
# In which cases are shown: the sheets of a training, the report of an evaluation.
SHOWING_CASES = ("pictures/", "report/")


@dataclass
class PackContents:
    """The files of a pack.

    Attributes:
        files: Their content by name.
        left_out: Recorded artifacts of each run that are not among them.
        unknown: Artifacts that somebody else has added to the runs: nobody knows what they name.
        holds_weights: Whether the weights of the main run are among them.
    """

    files: dict[str, Path | bytes] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    holds_weights: bool = False


def contents_of(
    runs: Sequence[RunFacts],
    *,
    weights: bool = True,
    pictures: bool = True,
    on_file: Callable[[], None] = lambda: None,
) -> PackContents:
    """The description and the recorded artifacts of each run.

    Of the checkpoints one copy of the weights is taken, and not the one that a training is resumed from: it is three
    times as large, and nothing is checked with it.

    Args:
        runs: The run that the pack is about, and those that belong to it.
        weights: Whether the weights are taken.
        pictures: Whether what shows cases is taken.
        on_file: Called after each artifact.
    """
    found = PackContents()
    wanted = runs[0].tags.get("planar.model_sha256") if weights else None
    for run in runs:
        place = f"runs/{run.run_id}"
        document = json.dumps(run.document(), indent=1, ensure_ascii=False, sort_keys=True)
        found.files[f"{place}/run.json"] = f"{document}\n".encode()
        recorded = _recorded(run)
        for path in run.files:
            on_file()
            name = f"{place}/artifacts/{path}"
            if path not in recorded or not is_name(name):
                found.unknown.append(path)
                continue
            if not pictures and path.startswith(SHOWING_CASES):
                found.left_out.setdefault(run.run_id, []).append(path)
                continue
            if path.endswith(CHECKPOINT):
                if found.holds_weights or wanted is None or file_sha256(run.fetch(path)) != wanted:
                    found.left_out.setdefault(run.run_id, []).append(path)
                    continue
                found.holds_weights = True
            found.files[name] = run.fetch(path)
    return found


def require_no_names(run: RunFacts) -> None:
    """Raise InvalidOption for a run that has recorded names of files, as former versions did."""
    if names_files(run):
        raise InvalidOption(
            f"{run.run_id}: was recorded by a version of Planar that recorded names of files, and a pack must hold "
            "none. Run it again with this version."
        )


def names_files(run: RunFacts) -> bool:
    """Whether the recorded datalist or table of cases has names of files instead of cases."""
    path = datalist_artifact(run)
    content = run.json(path) if path is not None else {}
    if any("image" in item for part in PARTS for item in content.get(part, ()) if isinstance(item, dict)):
        return True
    if CASES not in run.files:
        return False
    with run.fetch(CASES).open(encoding="utf-8", errors="replace") as table:
        return "image" in table.readline().strip().split(",")


def _recorded(run: RunFacts) -> frozenset[str]:
    """What Planar has recorded: the manifest's files, and the tables that a cross-validation has given its folds.

    Of a run without a manifest, such as a killed one, all.
    """
    listed = run.json(MANIFEST)
    files = listed.get("files") if isinstance(listed, dict) else None
    return frozenset([*files, MANIFEST, *run.within("tables")]) if isinstance(files, dict) else frozenset(run.files)
