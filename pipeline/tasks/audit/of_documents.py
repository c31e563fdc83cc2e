"""Whether what a pack has for people to read is what its record says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.digests import file_sha256
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.documents import CARD, CHECKLIST, REPORT, documents_of, report_of, wording
from pipeline.tasks.audit.opening import Opened
from pipeline.tasks.card.gather import gather

__all__ = ["check_documents"]

ABOUT = "documents"


def check_documents(found: Opened, folder: Path) -> Iterator[Check]:
    """The model card and the checklist of a pack, written once more from its record, and its report.

    Args:
        found: A pack; of a run in a store there is nothing to check.
        folder: For the tables that they are made of.
    """
    here = {name: path for name, path in found.documents.items() if name in (CARD, CHECKLIST, REPORT)}
    if not here:
        return
    if found.wording != wording():
        words = "another version of Planar has written them: the figures in them are not compared with the record"
        yield skipped(ABOUT, words, essential=False)
        return
    try:
        facts = gather(found, folder)
        expected = documents_of(facts)
        report = report_of(facts)
    except Exception as error:  # whatever a record that was changed makes of them
        yield failed(ABOUT, f"they cannot be written from the record: {' '.join(str(error).split())[:200]}", [*here])
        return
    wrong = [
        name for name, text in expected.items() if name in here and here[name].read_bytes() != text.encode("utf-8")
    ]
    if REPORT in here and (report is None or file_sha256(report) != file_sha256(here[REPORT])):
        wrong.append(REPORT)
    if wrong:
        yield failed(ABOUT, "they do not say what the record says", wrong)
    else:
        yield passed(ABOUT, f"{', '.join(sorted(here))} say what the record says")
