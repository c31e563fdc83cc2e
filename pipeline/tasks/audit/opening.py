"""A run by what a user calls it, in an MLflow store or in a pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.errors import InvalidOption, InvalidPack
from pipeline.tasks.audit.check import Check
from pipeline.tasks.audit.pack import is_pack, open_pack
from pipeline.tracking import RunFacts, RunStore

__all__ = ["Opened", "open_run"]

# MLflow's own tag of a run that is nested below another.
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Opened:
    """A run's record.

    Attributes:
        run: The run.
        related: Another run of the same store or pack by its id; None if it is not there.
        packed: Whether it comes from a pack.
        checks: Of the pack's own files.
        left_out: Artifacts that the pack leaves out.
        weights: The weights, where they are in a pack and no artifact.
        scored: Evaluations of weights by their SHA-256.
        children: The runs below a run, as the folds are below a cross-validation.
        documents: Of a pack: what is written for people, by name.
        wording: Of a pack: by which code they were written.
    """

    run: RunFacts
    related: Callable[[str], RunFacts | None]
    packed: bool = False
    checks: tuple[Check, ...] = ()
    left_out: tuple[str, ...] = ()
    weights: Path | None = None
    scored: Callable[[str], list[RunFacts]] = lambda sha256: []
    children: Callable[[str], list[RunFacts]] = lambda run_id: []
    documents: Mapping[str, Path] = field(default_factory=dict)
    wording: str = ""

    def evaluations(self) -> list[RunFacts]:
        """The evaluations of the run's weights that came to their end, the latest first."""
        digest = self.run.tags.get("planar.model_sha256")
        return self.scored(digest) if digest else []


def open_run(text: str, folder: Path, *, store: str | None = None, key: Path | None = None) -> Opened:
    """The run that a user means.

    Args:
        text: A run's id, the beginning of one, or its name; or the path of a pack, which ends in ".zip".
        folder: For its files.
        store: Tracking URI; see `pipeline.tracking.tracking_uri`.
        key: Public key that a pack must be signed by.

    Raises:
        TrackingUnreachable: if the store is not there or does not answer, or the folder of the run's files is gone.
        InvalidOption: if there is no such run, or several, or a key is given for a run that is in no pack.
        MissingFile, InvalidPack: if the pack is not there, or has no readable description of its run.
    """
    if is_pack(text):
        pack = open_pack(Path(text), folder / "pack", key)
        run = pack.runs.get(pack.main)
        if run is None:
            wrong = [file for check in pack.checks for file in check.files]
            raise InvalidPack(
                f"{text}: has no readable description of the run {pack.main[:40]}"
                f"{f'; not as listed: {wrong[0]}' if wrong else ''}. Export it again."
            )
        left_out = pack.left_out.get(pack.main, ())

        def scored(sha256: str) -> list[RunFacts]:
            own = [one for one in pack.runs.values() if _has_scored(one, sha256)]
            return sorted(own, key=lambda one: -one.started_ms)

        def packed_children(run_id: str) -> list[RunFacts]:
            return sorted(
                (one for one in pack.runs.values() if one.tags.get(PARENT) == run_id), key=lambda one: one.started_ms
            )

        return Opened(
            run=run,
            related=lambda run_id: pack.runs.get(run_id),
            packed=True,
            checks=pack.checks,
            left_out=left_out,
            weights=pack.weights,
            scored=scored,
            children=packed_children,
            documents=pack.documents,
            wording=pack.wording,
        )
    if Path(text).is_file():
        raise InvalidPack(f"{text}: is no pack; expected the zip file of planar audit export, or the id of a run.")
    if key is not None:
        raise InvalidOption("--key is for packs: a run in an MLflow store is not signed.")
    runs = RunStore(store)

    @cache
    def related(run_id: str) -> RunFacts | None:
        try:
            return runs.read(run_id, folder / "related" / run_id)
        except InvalidOption:
            return None

    def all_scored(sha256: str) -> list[RunFacts]:
        tags = {"planar.kind": "evaluation", "planar.model_sha256": sha256}
        found = [related(str(one.info.run_id)) for one in runs.runs(tags=tags)]
        return [one for one in found if one is not None and _has_scored(one, sha256)]

    def children(run_id: str) -> list[RunFacts]:
        found = [related(str(one.info.run_id)) for one in reversed(runs.runs(tags={PARENT: run_id}))]
        return [one for one in found if one is not None]

    run_id = runs.find(text)
    runs.require_artifacts(run_id)
    return Opened(runs.read(run_id, folder / "record"), related, scored=all_scored, children=children)


def _has_scored(run: RunFacts, sha256: str) -> bool:
    tags = run.tags
    return (run.kind, run.status, tags.get("planar.model_sha256")) == ("evaluation", "FINISHED", sha256)
