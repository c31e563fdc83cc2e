"""Compare evaluations and write the page."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.datalist import read_datalist
from pipeline.errors import InvalidEvaluation, InvalidOption
from pipeline.report.comparison import Group, comparisons, group_evaluations, rows_of
from pipeline.report.comparison_limits import comparison_limits
from pipeline.report.comparison_page import comparison_page, sentence
from pipeline.report.comparison_pictures import EACH_WAY
from pipeline.report.matrix import matrix_of
from pipeline.report.page import write_page
from pipeline.report.pictures import CaseSource
from pipeline.tasks.given_evaluation import given_evaluation
from pipeline.tasks.report import require_free

__all__ = ["CompareResult", "compare_evaluations"]


@dataclass(frozen=True)
class CompareResult:
    """A comparison.

    Attributes:
        page: The HTML file.
        groups: Evaluations of the same cases, with their comparisons.
        notes: What the page could not show, and why.
    """

    page: Path
    groups: tuple[Group, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The result as JSON."""
        matrix = matrix_of(self.groups)
        return {
            "page": str(self.page),
            "groups": [_group_document(group) for group in self.groups],
            "matrix": None
            if matrix is None
            else {
                "data": matrix.data,
                "rows": [
                    {
                        "model": name,
                        "trained_on": trained,
                        "summary": [None if entry is None else entry.view.summary for entry in row],
                    }
                    for name, trained, row in matrix.rows
                ],
            },
            "limits": [vars(limit) for limit in comparison_limits(self.groups)],
            "notes": [*self.notes],
        }


def compare_evaluations(
    evaluations: Sequence[str | os.PathLike[str]],
    out: Path = Path("compare.html"),
    *,
    store: str | None = None,
    datalists: Sequence[Path] = (),
    overwrite: bool = False,
    progress: Callable[[int], Callable[[], None]] = lambda total: lambda: None,
) -> CompareResult:
    """Compare evaluations; each is compared with the first of those that are of the same cases.

    Args:
        evaluations: Two or more: folders that `planar evaluate` has written, or runs; see `given_evaluation`.
        out: The page.
        store: Tracking URI of the runs.
        datalists: What was evaluated, for pictures; each goes with the evaluations of its name.
        overwrite: Replace a page that is there.
        progress: Told the number of steps; what it returns is called after each.

    Raises:
        InvalidOption: for fewer than two evaluations, one given twice, or a run that is not there.
        TrackingUnreachable: if a run is given and the store cannot be read.
        MissingFile, InvalidEvaluation, InvalidDatalist: if an input cannot be used, or the cases do not match.
        OutputExists: if the page is there.
    """
    if len(evaluations) < 2:
        raise InvalidOption(f"Got {len(evaluations)} evaluation; expected two or more. For one alone: planar report.")
    resolved = [Path(one).resolve() for one in evaluations]
    twice = next((one for one in resolved if resolved.count(one) > 1), None)
    if twice is not None:
        raise InvalidOption(f"{twice.name} is given twice; expected different evaluations.")
    require_free(out, overwrite)
    with tempfile.TemporaryDirectory(prefix="planar-") as scratch:
        views = [given_evaluation(one, Path(scratch) / str(k), store) for k, one in enumerate(evaluations)]
        groups = group_evaluations(views)
        notes: list[str] = []
        sources = _sources(groups, datalists, notes)
        wanted = sum(len(group.labels) * (len(group.entries) - 1) for group in groups)
        # At most: how many images differ is known when they have been compared.
        wanted += sum(2 * EACH_WAY * (len(group.entries) - 1) for group in groups if group.title in sources)
        advance = progress(wanted)
        for group in groups:
            if len(group.entries) > 1:
                group.comparisons.extend(comparisons(group, advance))
        if not sources and not notes:
            notes.append("No pictures: no datalist was given (--data).")
        write_page(out, comparison_page(groups, sources, notes, advance))
    return CompareResult(out, tuple(groups), tuple(notes))


def _sources(groups: Sequence[Group], datalists: Sequence[Path], notes: list[str]) -> dict[str, CaseSource]:
    """The pictures of each group that there is a datalist for."""
    sources = {}
    for path in datalists:
        name = read_datalist(path).name
        fitting = [group for group in groups if group.entries[0].view.data == name]
        if not fitting:
            known = ", ".join(dict.fromkeys(group.entries[0].view.data for group in groups))
            raise InvalidEvaluation(
                f"{path}: is of {name}; the evaluations are of {known}. Give one of their datalists."
            )
        for group in fitting:
            if any("mask" not in entry.view.cases for entry in group.entries):
                notes.append(f"No pictures of {group.title}: a recorded run has no masks. Give folders for them.")
                continue
            sources[group.title] = CaseSource.of(group.entries[0].view, path)
    return sources


def _group_document(group: Group) -> dict[str, Any]:
    view = group.entries[0].view
    return {
        "data": view.data,
        "split": view.split,
        "subjects": view.n_subjects,
        "images": len(view.images),
        "evaluations": [
            {"letter": entry.letter, "name": entry.name, "bundle": entry.view.bundle, "summary": entry.view.summary}
            for entry in group.entries
        ],
        "comparisons": [
            {
                "first": comparison.first.letter,
                "second": comparison.second.letter,
                "told": sentence(comparison),
                "differences": [*rows_of(comparison)],
            }
            for comparison in group.comparisons
        ],
    }
