"""Whether what a pack has for people to read is what its record says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.digests import file_sha256
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.document_figures import compare_figures
from pipeline.tasks.audit.documents import CARD, CHECKLIST, REPORT, documents_of, report_of, wording
from pipeline.tasks.audit.of_kind import SCORED_KINDS
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
    if not found.packed or found.run.kind not in SCORED_KINDS:
        return
    absent = [name for name in (CARD, CHECKLIST) if name not in here]
    if absent:
        yield skipped(ABOUT, f"the pack has no {' and no '.join(absent)}", essential=False)
    if not here:
        return
    try:
        facts = gather(found, folder)
        expected = {name: text for name, text in documents_of(facts).items() if name in here}
        report = report_of(facts)
    except Exception as error:  # whatever a record that was changed makes of them
        yield failed(ABOUT, f"they cannot be written from the record: {' '.join(str(error).split())[:200]}", [*here])
        return
    wrong = []
    if REPORT in here and (report is None or file_sha256(report) != file_sha256(here[REPORT])):
        wrong.append(REPORT)
    if found.wording != wording():
        yield _of_other_words(here, expected, wrong)
        return
    wrong = [name for name, text in expected.items() if here[name].read_bytes() != text.encode("utf-8")] + wrong
    if wrong:
        yield failed(ABOUT, "they do not say what the record says", wrong)
    else:
        without = "" if REPORT in here else f"; {REPORT} is not in the pack"
        yield passed(ABOUT, f"{', '.join(sorted(here))} say what the record says{without}")


def _of_other_words(here: Mapping[str, Path], expected: Mapping[str, str], wrong: Sequence[str]) -> Check:
    """Documents that another version of Planar has written: their figures, for the words cannot be compared."""
    told, missing, compared = [*wrong], [], 0
    for name, text in expected.items():
        found = compare_figures(here[name].read_text(encoding="utf-8"), text, tables=name == CARD)
        told += [f"{name}: {line}" for line in found.wrong]
        missing += [f"{name}: {line}" for line in found.missing]
        compared += found.compared
    by = "another version of Planar has written them"
    if told:
        return failed(ABOUT, f"{by}, and their figures are not those of the record", told)
    if missing:
        return skipped(ABOUT, f"{by}, and their tables are not those of the record: {', '.join(missing[:3])}")
    return passed(ABOUT, f"{by}; {compared} figures in their tables are those of the record, their words not compared")
