"""Whether the recorded report of an evaluation has the figures of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from pipeline.errors import PlanarError
from pipeline.report.evaluation import view_evaluation
from pipeline.report.evaluation_page import headline
from pipeline.report.score_tables import ScoreTable, glances, score_tables
from pipeline.tasks.audit.check import Check, failed, passed, skipped
from pipeline.tasks.audit.documents import RECORDED_REPORT
from pipeline.tasks.audit.evaluation_folder import lay_out
from pipeline.tracking import RunFacts

__all__ = ["check_report"]

ABOUT = "report"
UNSEEN = "its curves, pictures and other sentences are not compared"


def check_report(run: RunFacts, folder: Path) -> Iterator[Check]:
    """The headline and the tables of scores of a report, against those that the recorded tables give.

    Args:
        run: An evaluation.
        folder: Where its tables are laid out.
    """
    if run.kind != "evaluation" or RECORDED_REPORT not in run.files:
        return
    laid = lay_out(run, folder)
    if laid is None:
        return  # the tables are told of elsewhere
    try:
        view = view_evaluation(laid)
    except PlanarError:
        return
    page = _Page()
    page.feed(run.fetch(RECORDED_REPORT).read_text(encoding="utf-8"))
    expected = [table for name in view.classes for table in score_tables(view, name)]
    expected += glances(view) if len(view.classes) > 1 else []
    wrong, missing, compared = [], [], 0
    for table in expected:
        found = page.tables.get(table.caption)
        if found is None or found[0] != table.columns:
            missing.append(table.caption)
            continue
        rows = _rows(table)
        compared += sum(len(row) - 1 for row in rows)
        wrong += [f"{table.caption}: {_said(row)}" for row in found[1:] if row not in rows]
        wrong += [f"{table.caption}: {row[0]} is gone" for row in rows if row[0] not in {one[0] for one in found[1:]}]
    first = headline(view)
    if first not in page.paragraphs:
        start = first.partition(":")[0]
        said = [text for text in page.paragraphs if text.startswith(start)]
        wrong += [f"{text} The tables give: {first}" for text in said]
        missing += [] if said else ["the headline"]
    if wrong:
        yield failed(ABOUT, f"{len(wrong)} of its figures are not those of the tables", wrong)
    elif missing:
        words = f"another version of Planar has written it, and it has no {', '.join(missing[:3])} to compare"
        yield skipped(ABOUT, words, essential=False)
    else:
        yield passed(ABOUT, f"the headline and {compared} figures of its tables are the recorded ones; {UNSEEN}")


def _rows(table: ScoreTable) -> list[list[str]]:
    """The cells of a table as they are read on a page."""
    rows = []
    for row in table.rows:
        cells = []
        for cell in row:
            one = _Page()
            one.feed(f"<table><caption>x</caption><tr><td>{_escaped(cell)}</td></tr></table>")
            cells.append(one.tables["x"][0][0])
        rows.append(cells)
    return rows


def _escaped(cell: str) -> str:
    from markupsafe import escape

    return str(escape(cell))


def _said(row: list[str]) -> str:
    return f"{row[0]} {', '.join(row[1:])}" if row else "an empty row"


class _Page(HTMLParser):
    """The tables of a page by their captions, as rows of texts, and its paragraphs."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, list[list[str]]] = {}
        self.paragraphs: list[str] = []
        self._rows: list[list[str]] = []
        self._text: list[str] = []
        self._caption = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        if tag in ("caption", "th", "td", "p"):
            self._text = []

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        text = " ".join("".join(self._text).split())
        if tag == "caption":
            self._caption = text
        elif tag in ("th", "td") and self._rows:
            self._rows[-1].append(text)
        elif tag == "p":
            self.paragraphs.append(text)
        elif tag == "table":
            self.tables[self._caption] = self._rows
