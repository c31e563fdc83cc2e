"""Verification: whether what was recorded of a run is still true."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import PlanarError
from pipeline.tasks.audit.check import SCORED, Check, Outcome, Verdict, failed, skipped
from pipeline.tasks.audit.material import AuditMaterial
from pipeline.tasks.audit.of_checkpoint import check_checkpoint
from pipeline.tasks.audit.of_config import check_config
from pipeline.tasks.audit.of_data import check_data
from pipeline.tasks.audit.of_description import check_description
from pipeline.tasks.audit.of_documents import check_documents
from pipeline.tasks.audit.of_models import check_models
from pipeline.tasks.audit.of_numbers import check_numbers
from pipeline.tasks.audit.of_record import check_record
from pipeline.tasks.audit.of_report import check_report
from pipeline.tasks.audit.of_tables import check_tables
from pipeline.tasks.audit.opening import open_run
from pipeline.tasks.audit.tolerance import AuditTolerance

__all__ = ["verify"]

Progress = Callable[[int], Callable[[], None]]


def verify(
    run_or_pack: str,
    *,
    store: str | None = None,
    datalist: Path | None = None,
    bundle: str | None = None,
    checkpoint: Path | None = None,
    tolerance: AuditTolerance | None = None,
    evaluate: bool = True,
    on_check: Callable[[Check], None] = lambda check: None,
    progress: Progress = lambda total: lambda: None,
    handlers: Sequence[object] = (),
    key: Path | None = None,
) -> Verdict:
    """Check a run against the files that it speaks of, and compute its numbers again.

    Args:
        run_or_pack: A run's id, the beginning of one, or its name; or a pack of `planar audit export`.
        store: Tracking URI; see `tracking_uri`.
        datalist: Where the data are, if not where they were on this machine.
        bundle: The bundle, likewise.
        checkpoint: The weights, likewise.
        tolerance: When two numbers count as the same.
        evaluate: Whether to compute the numbers again.
        on_check: Told of each check as it is made.
        progress: Told the number of cases to decode; what it returns is called after each.
        handlers: Ignite handlers for the scoring, such as a progress bar.
        key: Public key that a pack must be signed by.

    Raises:
        TrackingUnreachable: if the store is not there or does not answer.
        InvalidOption: if there is no such run, or several.
        MissingFile, InvalidBundle, InvalidPack: if a file that is named is not there, or not what it should be.
    """
    allowed = tolerance or AuditTolerance()
    checks: list[Check] = []

    def note(check: Check) -> None:
        checks.append(check)
        on_check(check)

    with tempfile.TemporaryDirectory(prefix="planar-audit-") as name:
        folder = Path(name)
        found = open_run(run_or_pack, folder, store=store, key=key)
        run = found.run
        for check in found.checks:
            note(check)
        for check in check_documents(found, folder / "documents"):
            note(check)
        material = AuditMaterial.of(
            run,
            folder,
            datalist=datalist,
            bundle=bundle,
            checkpoint=checkpoint or found.weights,
            packed=found.packed,
            left_out=found.left_out,
            related=found.related,
            scored=found.scored,
        )
        why_not = "" if evaluate else "left out, as it was asked for"
        if any(check.outcome is Outcome.FAIL for check in found.checks):
            why_not = "left out: a config is code, and this pack is not as it was written"
        for check in _checks(material, allowed, why_not, progress, handlers):
            note(check)
    return Verdict(run.run_id, run.name, run.kind, tuple(checks), allowed.words)


def _checks(
    material: AuditMaterial,
    tolerance: AuditTolerance,
    why_not: str,
    progress: Progress,
    handlers: Sequence[object],
) -> Iterator[Check]:
    yield from _read("record", check_record(material))
    yield from _read("config", check_config(material))
    yield from _read("data", check_data(material, progress))
    yield from _read("checkpoint", check_checkpoint(material))
    yield from _read("tables", check_tables(material))
    yield from _read("models", check_models(material))
    yield from _read("description", check_description(material.run))
    yield from _read("report", check_report(material.run, material.folder / "report"))
    yield from _read("metadata", _metadata(material))
    if why_not:
        yield skipped(SCORED, why_not, essential=False)
    else:
        yield from check_numbers(material, tolerance, handlers)


def _read(about: str, checks: Iterator[Check]) -> Iterator[Check]:
    """Checks, where something that was changed is no longer what it should be at all."""
    try:
        yield from checks
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, PlanarError):
            raise
        said = " ".join(str(error).split())[:200]
        yield failed(about, f"what is recorded of it cannot be understood ({type(error).__name__}: {said})")


def _metadata(material: AuditMaterial) -> Iterator[Check]:
    """The scores in the bundle's metadata, where these say that they are of this run."""
    from pipeline.tasks.card.check import check_metadata, record_in

    bundle, run = material.bundle, material.run
    if bundle is None or not bundle.metadata.is_file():
        return
    record = record_in(bundle)
    if run.run_id in (record.get("training_run"), *record.get("evaluations", {}).values()):
        checks = check_metadata(
            bundle, lambda run_id: run if run_id == run.run_id else material.related(run_id), material.folder / "card"
        )
        # The weights have been looked at.
        yield from (check for check in checks if check.about != "weights")
