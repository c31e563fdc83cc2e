"""The report of one evaluation as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.overlays import AGREEMENT, PREDICTION, REFERENCE, colour_of
from pipeline.report.case_plots import subject_plots
from pipeline.report.confusion import confusion_rows
from pipeline.report.curves import duration, training_curves
from pipeline.report.evaluation import EvaluationView
from pipeline.report.fingerprint_facts import fingerprint_facts, near_duplicate_rows
from pipeline.report.limits import limits_of
from pipeline.report.material import Material
from pipeline.report.measures import MEASURES
from pipeline.report.page import number, render
from pipeline.report.privacy import without_folders
from pipeline.report.reliability import calibration_diagram
from pipeline.report.risk import GateOutcome, gate_outcome, predicted_dice_chart, risk_coverage_chart
from pipeline.report.score_tables import glances, score_tables, with_interval
from pipeline.report.settings import settings_of
from pipeline.report.strips import pictures_of
from pipeline.step_times import PhaseTime

__all__ = ["evaluation_page", "headline", "hex_colour"]


def hex_colour(colour: tuple[int, int, int]) -> str:
    """A colour as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


OUTLINES = [
    ("prediction", hex_colour(PREDICTION)),
    ("reference", hex_colour(REFERENCE)),
    ("both, less than a line apart", hex_colour(AGREEMENT)),
]


def evaluation_page(material: Material, advance: Callable[[], None] = lambda: None) -> tuple[str, list[str]]:
    """The page as HTML, and what could not be shown, one line each.

    Args:
        material: What it is made of; a part that is missing is left out, and the page says so.
        advance: Called for each case that has been drawn; `cases_shown` tells how many there will be.
    """
    evaluation = material.evaluation
    notes: list[str] = []
    shown = pictures_of(material, notes, advance)
    groups = settings_of(material.bundle) if material.bundle is not None else {}
    found = material.fingerprint
    gate, calibration = gate_outcome(evaluation), evaluation.files.calibration
    html = render(
        "report.html.j2",
        title=f"{evaluation.bundle} on {evaluation.data}",
        headline=headline(evaluation),
        facts=_facts(material),
        limits=limits_of(material),
        glances=glances(evaluation),
        tables={name: score_tables(evaluation, name) for name in evaluation.classes},
        plots=subject_plots(evaluation),
        strips=[(kind, strips) for kind, names in shown.extremes.items() if (strips := shown.strips(names))],
        collage=shown.strips(shown.spread),
        outline_keys=OUTLINES,
        class_keys=_class_keys(evaluation),
        confusion=confusion_rows(evaluation.files.confusion),
        confusion_classes=list(evaluation.files.confusion.columns),
        calibration=calibration_diagram(calibration) if calibration is not None else None,
        ece=(evaluation.record.get("calibration") or {}).get("ece"),
        gate=gate,
        gate_rows=_gate_rows(gate) if gate is not None else [],
        gate_charts=[risk_coverage_chart(evaluation), predicted_dice_chart(evaluation)],
        gate_reasons=[[reason, number(count)] for reason, count in gate.reasons] if gate is not None else [],
        curves=training_curves(material.history, material.kept_epoch),
        duration=duration(material.history),
        step_times=_step_times(material.step_times),
        fingerprint=fingerprint_facts(found) if found is not None else [],
        near_duplicates=near_duplicate_rows(found, evaluation.split) if found is not None else [],
        fingerprint_name=str(found["name"]) if found is not None else "",
        datalist=material.datalist,
        refused=_refused(material),
        settings=groups,
        rules=_rules(evaluation),
        versions=evaluation.record.get("versions", {}),
        notes=notes,
        multiple=len(evaluation.classes) > 1,
    )  # fmt: skip
    return html, notes


def headline(evaluation: EvaluationView) -> str:
    """The main figure in one sentence."""
    dice = MEASURES[0]
    name = "mean_of_classes" if len(evaluation.classes) > 1 else evaluation.classes[0]
    figures = evaluation.summary.get(name, evaluation.summary[evaluation.classes[0]])["per_subject"]["dice"]
    of = "mean Dice over the classes" if len(evaluation.classes) > 1 else f"mean Dice of {name}"
    text = with_interval(dice, figures).replace("(", "(95 % interval ")
    subjects = evaluation.n_subjects
    return f"{of[0].upper()}{of[1:]}: {text}, over {subjects} subjects with {len(evaluation.images)} images."


def _facts(material: Material) -> list[tuple[str, str]]:
    evaluation = material.evaluation
    facts = [
        ("Bundle", evaluation.bundle),
        ("Data", f"{evaluation.data}, {evaluation.split}" if evaluation.split else evaluation.data),
        ("Subjects", number(evaluation.n_subjects)),
        ("Images", number(len(evaluation.images))),
        ("Classes", ", ".join(evaluation.classes)),
        ("Trained on", evaluation.trained_on or "not recorded"),
    ]
    digest = str(evaluation.record.get("checkpoint_sha256") or "")
    if digest:
        facts.append(("Weights, SHA-256", digest[:16]))
    return facts


def _step_times(times: Sequence[PhaseTime]) -> list[list[str]]:
    return [
        [
            one.phase,
            number(one.seconds),
            f"{100 * one.share:.1f} %",
            "" if one.step_ms is None else number(one.step_ms),
        ]
        for one in times
    ]


def _gate_rows(gate: GateOutcome) -> list[list[str]]:
    text = MEASURES[0].text
    return [
        [name, str(found["n"]), *(text(found.get(key)) for key in ("mean", "p5", "min"))]
        for name, found in gate.rows.items()
    ]


def _class_keys(evaluation: EvaluationView) -> list[tuple[str, str]]:
    if len(evaluation.classes) == 1:
        return []
    return [(name, hex_colour(colour_of(index))) for index, name in enumerate(evaluation.classes, 1)]


def _refused(material: Material) -> list[list[str]]:
    """How many files index refused for which reason, with one of them."""
    if material.datalist is None:
        return []
    by_code: dict[str, list[Any]] = {}
    for finding in material.datalist.refused:
        by_code.setdefault(finding.code, []).append(finding)
    return [
        [code.replace("_", " "), number(len(found)), f"{Path(found[0].file).name}: {without_folders(found[0].reason)}"]
        for code, found in sorted(by_code.items(), key=lambda pair: -len(pair[1]))
    ]


def _rules(evaluation: EvaluationView) -> list[tuple[str, str]]:
    """How each figure came about."""
    record = evaluation.record
    rules = [
        (measure.label, str(record.get("metrics", {}).get(measure.key, {}).get("rule", "")))
        for measure in evaluation.measures
    ]
    rules += [(str(name).replace("_", " "), str(rule)) for name, rule in record.get("rules", {}).items()]
    return [(name, rule.replace("`", "")) for name, rule in rules if rule]
