"""The checklists of a record as one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.report.card_facts import CardFacts
from pipeline.report.checklist.item import ChecklistItem, Mark, Question
from pipeline.report.checklist.questions import CLAIM, GMLP, METRICS_RELOADED
from pipeline.report.markdown import render_markdown

__all__ = ["checklist", "checklist_items"]

GROUPS: dict[str, Sequence[Question]] = {
    "CLAIM 2020: Checklist for Artificial Intelligence in Medical Imaging": CLAIM,
    "Good Machine Learning Practice: ten principles": GMLP,
    "Metrics Reloaded": METRICS_RELOADED,
}


def checklist(facts: CardFacts) -> str:
    """The checklists as Markdown."""
    groups = [
        {"title": title, "items": items, "count": Counter(item.mark for item in items)}
        for title, items in checklist_items(facts).items()
    ]
    return render_markdown("checklist.md.j2", facts=facts, groups=groups, mark=Mark)


def checklist_items(facts: CardFacts) -> dict[str, list[ChecklistItem]]:
    """The items by checklist."""
    return {title: [ChecklistItem.of(one, facts) for one in questions] for title, questions in GROUPS.items()}
