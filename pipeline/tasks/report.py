"""Gather what is known around an evaluation and write its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle, find_bundle
from pipeline.datalist import read_datalist
from pipeline.digests import file_sha256
from pipeline.errors import InvalidBundle, InvalidFingerprint, MissingFile, OutputExists
from pipeline.fingerprint import Fingerprint
from pipeline.history import read_history
from pipeline.report.evaluation import EvaluationView, view_evaluation
from pipeline.report.evaluation_page import evaluation_page, headline
from pipeline.report.limits import Limit, limits_of
from pipeline.report.material import Material
from pipeline.report.page import write_page
from pipeline.report.picture_files import require_drawable, require_free_folder, write_pictures
from pipeline.report.pictures import CaseSource
from pipeline.report.strips import cases_shown
from pipeline.step_times import PhaseTime, read_step_times
from pipeline.tracking import read_training_record

__all__ = ["ReportResult", "require_free", "write_report"]


@dataclass(frozen=True)
class ReportResult:
    """A report.

    Attributes:
        page: The HTML file.
        evaluation: What it is about.
        headline: The main figure in one sentence.
        limits: What the figures do not show.
        notes: What the page could not show, and why.
    """

    page: Path
    evaluation: EvaluationView
    headline: str
    limits: tuple[Limit, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The result as JSON."""
        evaluation = self.evaluation
        return {
            "page": str(self.page),
            "bundle": evaluation.bundle,
            "data": evaluation.data,
            "split": evaluation.split,
            "subjects": int(evaluation.n_subjects),
            "images": len(evaluation.images),
            "headline": self.headline,
            "summary": evaluation.summary,
            "limits": [vars(limit) for limit in self.limits],
            "notes": [*self.notes],
        }


def write_report(
    folder: Path,
    out: Path | None = None,
    *,
    bundle: str | None = None,
    datalist: Path | None = None,
    fingerprint: Path | None = None,
    gate: Path | None = None,
    pictures: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int], Callable[[], None]] = lambda total: lambda: None,
) -> ReportResult:
    """Write the report of an evaluation.

    Args:
        folder: What `planar evaluate` has written.
        out: The page; default `report.html` in the folder.
        bundle: The bundle that was evaluated, for curves and settings; without it, the one of that name if its weights
            are those that were evaluated.
        datalist: The datalist that was evaluated, for pictures and refusals.
        fingerprint: `fingerprint.json` of `planar inspect`; without it, one beside the datalist or in the bundle.
        gate: The table of `planar calibrate --check`; without it, `gate.csv` in the folder if there is one.
        pictures: Folder for the pictures as files, or None; see `pipeline.report.picture_files`.
        overwrite: Replace a page that is there.
        progress: Told the number of cases to draw; what it returns is called after each.

    Raises:
        MissingFile, InvalidEvaluation, InvalidBundle, InvalidDatalist, InvalidFingerprint: if an input cannot be used.
        OutputExists: if the page is there.
        InvalidOption: if pictures are wanted and there is nothing to draw.
    """
    evaluation = view_evaluation(folder, gate)
    page = out or folder / "report.html"
    require_free(page, overwrite)
    if pictures is not None:
        require_free_folder(pictures, overwrite)
        require_drawable(evaluation, datalist is not None)
    notes: list[str] = []
    used = find_bundle(bundle) if bundle is not None else _bundle_of(evaluation)
    same = _same_weights(evaluation, used)
    material = Material(
        evaluation=evaluation,
        source=CaseSource.of(evaluation, datalist) if datalist is not None else None,
        datalist=read_datalist(datalist) if datalist is not None else None,
        bundle=used,
        same_weights=same,
        history=_history(used, notes),
        step_times=_step_times(used, notes),
        kept_epoch=read_training_record(used.root / "models").get("step") if used is not None else None,
        fingerprint=_fingerprint(evaluation, fingerprint, datalist, used),
    )
    advance = progress(len(cases_shown(material)) * (1 if pictures is None else 2))
    html, missing = evaluation_page(material, advance)
    write_page(page, html)
    if pictures is not None:
        notes += write_pictures(material, pictures, advance)
    if used is None:
        notes.append("No curves and settings: the bundle was not given (--bundle).")
    return ReportResult(page, evaluation, headline(evaluation), tuple(limits_of(material)), (*missing, *notes))


def require_free(page: Path, overwrite: bool) -> None:
    """Raise OutputExists if the page is there and must not be replaced."""
    if page.is_dir():
        raise OutputExists(f"{page} is a folder; expected the name of an HTML file. Give one with -o.")
    if page.exists() and not overwrite:
        raise OutputExists(f"{page} exists. Give --overwrite to replace it, or another name with -o.")


def _bundle_of(evaluation: EvaluationView) -> Bundle | None:
    """The bundle of the recorded name, if it can be found and has the recorded weights."""
    try:
        found = find_bundle(evaluation.bundle)
    except InvalidBundle:
        return None
    return found if _same_weights(evaluation, found) else None


def _same_weights(evaluation: EvaluationView, bundle: Bundle | None) -> bool | None:
    recorded = evaluation.record.get("checkpoint_sha256")
    if bundle is None or not recorded or not bundle.weights.is_file():
        return None
    return file_sha256(bundle.weights) == str(recorded)


def _history(bundle: Bundle | None, notes: list[str]) -> list[dict[str, float]]:
    if bundle is None:
        return []
    path = bundle.root / "models" / "history.csv"
    if not path.is_file():
        notes.append(f"No curves: {bundle.name} has no models/history.csv, which its training writes.")
        return []
    return read_history(path)


def _step_times(bundle: Bundle | None, notes: list[str]) -> list[PhaseTime]:
    path = bundle.root / "models" / "step_times.csv" if bundle is not None else None
    if path is None or not path.is_file():
        return []
    try:
        return read_step_times(path)
    except ValueError as error:
        notes.append(f"No times of the training: {error}.")
        return []


def _fingerprint(
    evaluation: EvaluationView, given: Path | None, datalist: Path | None, bundle: Bundle | None
) -> Mapping[str, Any] | None:
    """The fingerprint that was given, else one of the evaluated data beside the datalist, else the bundle's own."""
    if given is not None:
        return _read_fingerprint(given)
    beside = [datalist.with_name("fingerprint.json")] if datalist is not None else []
    own = [bundle.root / "configs" / "fingerprint.json"] if bundle is not None else []
    for path in (*beside, *own):
        if path.is_file():
            found = _read_fingerprint(path)
            if path not in beside or found.get("name") == evaluation.data:
                return found
    return None


def _read_fingerprint(path: Path) -> Mapping[str, Any]:
    try:
        return Fingerprint.from_json(path.read_text(encoding="utf-8"), str(path)).document
    except FileNotFoundError:
        raise MissingFile(f"{path} is not there; expected the fingerprint.json of planar inspect.") from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise InvalidFingerprint(f"{path} cannot be read; expected the fingerprint.json of planar inspect.") from None
