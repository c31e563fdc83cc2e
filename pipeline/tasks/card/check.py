"""Whether what a bundle's metadata say of it is what its runs have recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle, find_bundle
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption
from pipeline.tasks.audit.check import Check, Verdict, failed, passed, skipped
from pipeline.tasks.audit.evaluation_folder import scored_run
from pipeline.tasks.card.figures import DIGITS, RECORD, figures_of
from pipeline.tasks.card.write import read_metadata
from pipeline.tracking import RunFacts, RunStore

__all__ = ["check_card", "check_metadata", "record_in"]

Read = Callable[[str], RunFacts | None]


def check_card(bundle: str, *, store: str | None = None) -> Verdict:
    """Compare a bundle's metadata with the runs that they name.

    Args:
        bundle: The bundle.
        store: Tracking URI; see `tracking_uri`.

    Raises:
        InvalidBundle: if there is no such bundle, or its metadata cannot be read.
        TrackingUnreachable: if the store is not there or does not answer.
    """
    found = find_bundle(bundle)
    with tempfile.TemporaryDirectory(prefix="planar-card-") as folder:
        runs: list[RunStore] = []

        def read(run_id: str) -> RunFacts | None:
            if not runs:
                runs.append(RunStore(store))
            try:
                return runs[0].read(run_id, Path(folder) / run_id)
            except InvalidOption:
                return None

        checks = tuple(check_metadata(found, read, Path(folder) / "tables"))
    record = record_in(found)
    run_id = str(record.get("training_run") or next(iter(record.get("evaluations", {}).values()), ""))
    return Verdict(run_id, found.name, "card", checks)


def record_in(bundle: Bundle) -> dict[str, Any]:
    """Which runs a bundle's metadata name; empty if none."""
    said = read_metadata(bundle).get("planar", {}).get(RECORD)
    return said if isinstance(said, dict) and isinstance(said.get("evaluations", {}), dict) else {}


def check_metadata(bundle: Bundle, read: Read, folder: Path) -> Iterator[Check]:
    """The scores and the weights of a bundle, against the runs that its metadata name.

    Args:
        bundle: The bundle.
        read: A run by its id; None if it is not there.
        folder: For the tables of the evaluations.
    """
    record = record_in(bundle)
    if not record:
        yield skipped("metadata", "they name no run: write them with planar card RUN --into BUNDLE")
        return
    yield _weights(bundle, record)
    written = read_metadata(bundle).get("eval_metrics")
    written = written if isinstance(written, Mapping) else {}
    expected: dict[str, float] = {}
    for suffix, run_id in record.get("evaluations", {}).items():
        run = read(str(run_id))
        scored = scored_run(run, folder / str(run_id)) if run is not None else None
        if scored is None:
            yield skipped("metadata", f"the run {str(run_id)[:12]} or its tables are not there")
            return
        if scored.run.tags.get("planar.model_sha256") != record.get("model_sha256"):
            yield failed(
                "metadata", f"the run {str(run_id)[:12]} is of other weights", [f"{bundle.metadata}: {RECORD}"]
            )
            return
        expected |= figures_of(scored, str(suffix))
    yield _figures(bundle, written, expected)


def _weights(bundle: Bundle, record: Mapping[str, Any]) -> Check:
    said = str(record.get("model_sha256"))
    if not bundle.weights.is_file():
        return skipped("weights", f"{bundle.weights.name} is not there")
    found = file_sha256(bundle.weights)
    if found != said:
        return failed("weights", f"they have {found[:12]}, the metadata say {said[:12]}", [str(bundle.weights)])
    return passed("weights", f"they are those that the metadata name ({said[:12]})")


def _figures(bundle: Bundle, written: Mapping[str, Any], expected: Mapping[str, float]) -> Check:
    wrong = []
    for name in dict.fromkeys([*written, *expected]):
        here, there = written.get(name), expected.get(name)
        if not isinstance(here, (int, float)) or there is None or abs(here - there) > 0.51 * 10**-DIGITS:
            wrong.append(f"{bundle.metadata}: {name} is {here}, in the run {there}")
    if wrong:
        return failed("metadata", f"{len(wrong)} of the bundle's eval_metrics are not those of its runs", wrong)
    return passed("metadata", f"{len(expected)} eval_metrics are those of the runs that they name")
