"""Evaluations side by side as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from pipeline.metrics import MEAN_OF_CLASSES, PAIRED_RULE
from pipeline.report.comparison import ENOUGH_SUBJECTS, Comparison, Entry, Group, knows_the_set, verdict
from pipeline.report.comparison_limits import comparison_limits
from pipeline.report.comparison_pictures import comparison_strips
from pipeline.report.comparison_plots import difference_plots
from pipeline.report.evaluation_page import OUTLINES
from pipeline.report.matrix import matrix_of, matrix_tables
from pipeline.report.measures import MEASURES
from pipeline.report.page import render
from pipeline.report.pictures import CaseSource
from pipeline.report.score_tables import ScoreTable, called, named, with_interval

__all__ = ["comparison_page", "sentence"]


def comparison_page(
    groups: Sequence[Group],
    sources: Mapping[str, CaseSource],
    notes: list[str],
    advance: Callable[[], None] = lambda: None,
) -> str:
    """The page as HTML.

    Args:
        groups: With their comparisons.
        sources: Pictures by the title of a group; without them the page has none.
        notes: Takes a line for what could not be drawn.
        advance: Called after each picture.
    """
    matrix = matrix_of(groups)
    sections = []
    for group in groups:
        source = sources.get(group.title)
        for comparison in group.comparisons:
            first, second = comparison.first.letter, comparison.second.letter
            sections.append(
                {
                    "id": f"{second}-{first}".lower(),
                    "title": f"{second} against {first} on {group.title}",
                    "sentence": sentence(comparison),
                    "on": f"On {group.title}: " if len(groups) > 1 else "",
                    "tables": [_differences(comparison, label) for label in reversed(group.labels)],
                    "plots": difference_plots(comparison),
                    "strips": comparison_strips(comparison, source, notes, advance) if source is not None else [],
                }
            )
    return render(
        "compare.html.j2",
        title=_title(groups),
        models=[_about(entry) for group in groups for entry in group.entries],
        matrices=matrix_tables(matrix) if matrix is not None else [],
        own=any(knows_the_set(entry) for group in groups for entry in group.entries),
        side_by_side=[_side_by_side(group) for group in groups],
        sections=sections,
        limits=comparison_limits(groups),
        outline_keys=OUTLINES,
        rule=PAIRED_RULE,
        intervals=groups[0].entries[0].view.record.get("rules", {}).get("intervals", ""),
        notes=notes,
    )


def sentence(comparison: Comparison) -> str:
    """The difference of the mean Dice in words."""
    first, second = comparison.first.letter, comparison.second.letter
    label = MEAN_OF_CLASSES if MEAN_OF_CLASSES in comparison.differences else next(iter(comparison.differences))
    found = comparison.differences[label]["dice"]
    if found.mean is None:
        return f"No case has a Dice in both {first} and {second}."
    dice = MEASURES[0]
    text = with_interval(dice, vars(found), signed=True).replace("(", "(95 % interval ")
    untold = f"Whether {first} or {second} is better cannot be told"
    outcome = {
        "better": f"{second} is better than {first}",
        "worse": f"{second} is worse than {first}",
        "": f"Too few subjects to tell whether {first} or {second} is better" if found.n < ENOUGH_SUBJECTS else untold,
    }[verdict(dice, found)]
    counts = f"higher in {found.wins}, lower in {found.losses} and equal in {found.ties} of {found.n} subjects"
    return f"{outcome}: Dice {text}; {counts}."


def _title(groups: Sequence[Group]) -> str:
    bundles = [*dict.fromkeys(entry.view.bundle for group in groups for entry in group.entries)]
    data = [*dict.fromkeys(group.title for group in groups)]
    names = " and ".join(bundles) if len(bundles) < 3 else f"{len(bundles)} bundles"
    return f"{names} on {' and '.join(data) if len(data) < 3 else f'{len(data)} data sets'}"


def _about(entry: Entry) -> list[str]:
    view = entry.view
    return [
        entry.title,
        f"{view.data}, {view.split}" if view.split else view.data,
        f"{len(view.images)} images of {view.n_subjects} subjects",
        view.trained_on or "not recorded",
        str(view.record.get("checkpoint_sha256") or "")[:12] or "not recorded",
    ]


def _side_by_side(group: Group) -> list[ScoreTable]:
    """The means of all evaluations of a group, the mean of the classes first."""
    tables = []
    unit = group.entries[0].view.unit
    for label in reversed(group.labels):
        rows: list[list[str]] = []
        for measure in group.measures:
            figures = [entry.view.figures(label, measure) for entry in group.entries]
            rows.append([named(measure, unit), *(with_interval(measure, found) for found in figures)])
        columns = ["Metric", *(entry.title for entry in group.entries)]
        caption = f"{group.title}, {called(label)}: mean over subjects (95 % interval)"
        tables.append(ScoreTable(caption, columns, rows))
    return tables


def _differences(comparison: Comparison, label: str) -> ScoreTable:
    """All metrics of one class."""
    first, second = comparison.first, comparison.second
    rows: list[list[str]] = []
    for measure in MEASURES:
        found = comparison.differences[label].get(measure.key)
        if found is None:
            continue
        name = named(measure, first.view.unit)
        rows.append(
            [
                Markup("{} (its size)").format(name) if measure.better == "zero" else name,
                with_interval(measure, vars(found), signed=True),
                _marked(verdict(measure, found), found.n),
                *(str(count) for count in (found.wins, found.ties, found.losses, found.n)),
            ]
        )
    columns = [
        "Metric",
        f"{second.letter} − {first.letter} (95 % interval)",
        f"{second.letter} is",
        f"Subjects: {second.letter} better",
        "equal",
        f"{first.letter} better",
        "n",
    ]
    return ScoreTable(f"{called(label)}: difference, subject by subject", columns, rows)


def _marked(found: str, subjects: int) -> Markup:
    if not found:
        said = "not told apart" if subjects >= ENOUGH_SUBJECTS else "too few subjects"
        return Markup('<span class="soft">{}</span>').format(said)
    return Markup('<span class="{}">{}</span>').format({"better": "good", "worse": "bad"}[found], found)
