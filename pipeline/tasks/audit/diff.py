"""What differs between two runs."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.digests import file_sha256
from pipeline.split import PARTS
from pipeline.tasks.audit.case_lists import paired
from pipeline.tasks.audit.opening import open_run
from pipeline.tracking import RunFacts
from pipeline.tracking.recorded import config_artifact, merkle_roots, recorded_cases

__all__ = ["SECTIONS", "Difference", "RunsDiff", "diff_runs"]

SECTIONS = ("run", "data", "config", "params", "code", "versions", "machine", "metrics")
# Where files lie, how a run is recorded, and what it was said to be: none of it is a setting.
NO_SETTINGS = {
    "bundle_root", "dataset_dir", "datalist", "ckpt_dir", "ckpt_path", "output_dir", "tracking_uri", "run_name",
    "experiment_name", "save_execute_config", "executed_config", "training_recorder", "evaluation_recorder",
    "trainer", "validator", "record_user", "system_metrics", "_meta_",
}  # fmt: skip
# Measured anew in every run.
OF_THE_CLOCK = ("epoch_seconds",)
NAMED = 3  # cases of a kind that are named; the others are counted


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes:
        section: One of `SECTIONS`.
        name: What.
        first: In the first run; None if it has no such thing.
        second: In the second run.
    """

    section: str
    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class RunsDiff:
    """What differs between two runs.

    Attributes:
        first: The one.
        second: The other.
        differences: By section in the order of `SECTIONS`.
        unknown: Sections of which at least one run has recorded nothing.
    """

    first: RunFacts
    second: RunFacts
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]

    def within(self, section: str) -> tuple[Difference, ...]:
        """The differences of a section."""
        return tuple(one for one in self.differences if one.section == section)

    def document(self) -> dict[str, Any]:
        """The differences as JSON."""
        return {
            "first": {"run_id": self.first.run_id, "name": self.first.name},
            "second": {"run_id": self.second.run_id, "name": self.second.name},
            "differences": [vars(one) for one in self.differences],
            "not_recorded": list(self.unknown),
        }


def diff_runs(first: str, second: str, *, store: str | None = None) -> RunsDiff:
    """Compare two runs.

    Args:
        first: A run's id, the beginning of one, or its name; or a pack.
        second: Likewise.
        store: Tracking URI; see `tracking_uri`.
    Raises: TrackingUnreachable, InvalidOption, MissingFile, InvalidPack: as `open_run`.
    """
    with tempfile.TemporaryDirectory(prefix="planar-audit-") as folder:
        a = open_run(first, Path(folder) / "first", store=store).run
        b = open_run(second, Path(folder) / "second", store=store).run
        differences: list[Difference] = []
        unknown = []
        for section in SECTIONS:
            mine, theirs = _facts(section, a), _facts(section, b)
            if not mine or not theirs:
                unknown += [section] if section != "metrics" or mine != theirs else []
            differences += _differences(section, mine, theirs)
            if section == "data":
                differences += _cases(a, b)
        return RunsDiff(a, b, tuple(differences), tuple(unknown))


def _differences(section: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*mine, *theirs]):
        one, other = mine.get(name), theirs.get(name)
        if one != other and not (one != one and other != other):  # NaN is NaN
            yield Difference(section, name, one, other)


def _facts(section: str, run: RunFacts) -> dict[str, Any]:
    """What a run has recorded in a section, flat."""
    environment = run.json("environment.json")
    environment = environment if isinstance(environment, Mapping) else {}
    if section == "run":
        return {"kind": run.kind, "status": run.status, "experiment": run.experiment}
    if section == "data":
        return _data(run)
    if section == "config":
        path = config_artifact(run)
        content = run.json(path) if path is not None else None
        kept = {key: value for key, value in (content or {}).items() if key not in NO_SETTINGS}
        return dict(_flat(kept))
    if section == "params":
        return dict(run.params)
    if section == "code":
        return _code(run)
    if section == "versions":
        return {**environment.get("versions", {}), **_packages(run)}
    if section == "machine":
        return dict(_flat(environment.get("machine", {})))
    return {name: run.latest(name) for name in sorted(run.metrics) if name not in OF_THE_CLOCK}


def _data(run: RunFacts) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if digest := run.tags.get("planar.datalist_sha256"):
        facts["datalist, SHA-256"] = digest
    for path in run.within("data", ".json"):
        content = run.json(path)
        if isinstance(content, Mapping) and isinstance(content.get("labels"), Mapping):
            facts |= {"name": content.get("name"), "classes": ", ".join(map(str, content["labels"].values()))}
    for part, stated in merkle_roots(run).items():
        facts[f"{part}, Merkle root"] = next(iter(stated.values()))
    counts = Counter(case.part for case in recorded_cases(run) or ())
    return facts | {f"{part}, cases": counts[part] for part in PARTS if counts[part]}


def _cases(a: RunFacts, b: RunFacts) -> Iterator[Difference]:
    """Cases that only one of the runs was given, or was given in another part or with another mask."""
    mine, theirs = recorded_cases(a), recorded_cases(b)
    if mine is None or theirs is None:
        return
    left = list(mine)
    found: dict[tuple[str, Any, Any], list[str]] = {}
    for case, before in paired(theirs, left):
        if before is None:
            found.setdefault(("cases of the second alone", None, case.part), []).append(case.name)
            continue
        if before.part != case.part:
            found.setdefault(("cases in another part", before.part, case.part), []).append(case.name)
        if (before.image_sha256, before.label_sha256) != (case.image_sha256, case.label_sha256):
            what = "mask" if before.image_sha256 == case.image_sha256 else "image"
            found.setdefault((f"cases with another {what}", case.part, case.part), []).append(case.name)
    for case in left:
        found.setdefault(("cases of the first alone", case.part, None), []).append(case.name)
    for (what, first, second), names in found.items():
        shown = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
        yield Difference("data", f"{len(names)} {what} ({shown})", first, second)


def _code(run: RunFacts) -> dict[str, Any]:
    tags = {
        "planar": "planar.version",
        "commit": "mlflow.source.git.commit",
        "branch": "mlflow.source.git.branch",
        "changed since the commit": "planar.git.dirty",
        "weights, SHA-256": "planar.model_sha256",
    }
    facts: dict[str, Any] = {name: run.tags[tag] for name, tag in tags.items() if tag in run.tags}
    for path in run.within("code", ".patch"):
        facts[f"{path}, SHA-256"] = file_sha256(run.fetch(path))
    recorded = run.json("code/bundle.json")
    return facts | ({f"bundle's {name}": digest for name, digest in recorded.items()} if recorded else {})


def _packages(run: RunFacts) -> dict[str, str]:
    if "code/requirements.txt" not in run.files:
        return {}
    lines = run.fetch("code/requirements.txt").read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"([\w.\-]+)==(\S+)", line.strip()) for line in lines)
    return {match[1]: match[2] for match in found if match}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by MONAI's nested keys."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}#{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(part, (Mapping, list)) for part in value):
        for number, part in enumerate(value):
            yield from _flat(part, f"{name}#{number}")
    else:
        yield name, value
