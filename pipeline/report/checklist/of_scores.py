"""What a record says of its scores to the items of a checklist; empty where nothing was evaluated."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.report.card_facts import CardFacts


def measured(facts: CardFacts) -> str:
    """CLAIM 28."""
    if not facts.evaluations:
        return ""
    labels = ", ".join(measure.label for measure in facts.evaluations[0].view.measures)
    return f"{labels}; the rule of each is in tables/metrics.json."


def intervals(facts: CardFacts) -> str:
    """CLAIM 29, Metrics Reloaded: uncertainty."""
    said = facts.evaluations[0].view.record.get("bootstrap") if facts.evaluations else None
    if not isinstance(said, Mapping) or not {"level", "resamples", "unit"} <= said.keys():
        return ""
    return f"{said['level']:.0%} intervals of the means, {said['resamples']} bootstrap resamples of {said['unit']}s."


def external(facts: CardFacts) -> str:
    """CLAIM 32, GMLP 8."""
    others = sorted({scored.view.data for scored in facts.elsewhere})
    # Without one, other stores may still have some: that it was not done is nothing that a record knows.
    return f"Scored on other data: {', '.join(others)}." if others else ""


def scores(facts: CardFacts) -> str:
    """CLAIM 35 and 36: mean over subjects."""
    told = []
    for scored in facts.evaluations:
        row = scored.rows[-1]
        mean, low, high = (scored.figure(row, "dice", "per_subject", key) for key in ("mean", "ci_low", "ci_high"))
        if mean is not None:
            between = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
            told.append(
                f"{scored.view.data}, {scored.view.split or 'all'}: mean Dice {mean:.3f}{between}, "
                f"{scored.view.n_subjects} subjects"
            )
    best = facts.best
    if told and best is not None:
        told.append(f"validation while it was trained: mean Dice {best.value:.3f}")
    return "; ".join(told)


def failures(facts: CardFacts) -> str:
    """CLAIM 37."""
    told = []
    for scored in facts.evaluations:
        known = scored.view.images[scored.view.images["dice"].notna()]
        if len(known):
            worst = known.iloc[0]
            told.append(f"worst of {scored.view.data}: {worst['image']}, Dice {worst['dice']:.3f}")
    return "; ".join(told)


def limits(facts: CardFacts) -> str:
    """CLAIM 38."""
    return " ".join(limit.text for limit in facts.limits if limit.grave) or (
        "As the model card says under “What the scores do not show”." if facts.limits else ""
    )


def user_information(facts: CardFacts) -> str:
    """GMLP 9: a card without scores does not tell what users must know."""
    return "The model card: data, settings, scores and what they do not show." if facts.evaluations else ""


def overlap(facts: CardFacts) -> str:
    """Metrics Reloaded."""
    return _labels(facts, ("dice", "iou"), " of each class")


def boundary(facts: CardFacts) -> str:
    """Metrics Reloaded: with the tolerance of the surface Dice."""
    for scored in facts.evaluations:
        unit = scored.view.unit
        tolerance = (scored.view.record.get("nsd_tolerance") or {}).get(unit)
        found = _labels(facts, ("nsd", "hd95", "asd"), "")
        if tolerance is not None and found:
            return f"{found.rstrip('.')}; the surface Dice at {tolerance:g} {unit}."
    return ""


def by_class(facts: CardFacts) -> str:
    """Metrics Reloaded."""
    if not facts.evaluations:
        return ""
    classes = facts.evaluations[0].view.classes
    if len(classes) == 1:
        return f"There is one class, {classes[0]}, and no average over classes."
    return f"Each of the {len(classes)} classes has its own figures beside their mean."


def empty(facts: CardFacts) -> str:
    """Metrics Reloaded."""
    return _rule(facts, "empty_masks")


def aggregated(facts: CardFacts) -> str:
    """Metrics Reloaded."""
    return _rule(facts, "aggregation")


def calibration(facts: CardFacts) -> str:
    """Metrics Reloaded."""
    for scored in facts.evaluations:
        said = scored.view.record.get("calibration")
        if isinstance(said, Mapping) and said.get("ece") is not None:
            return f"Expected calibration error {said['ece']:.3f} on {scored.view.data}. {_rule(facts, 'calibration')}"
    return ""


def _rule(facts: CardFacts, name: str) -> str:
    """A rule in the words of the recorded evaluation, which may be of another version than this one."""
    rules = facts.evaluations[0].view.record.get("rules") if facts.evaluations else None
    return str(rules.get(name, "")) if isinstance(rules, Mapping) else ""


def _labels(facts: CardFacts, keys: tuple[str, ...], end: str) -> str:
    if not facts.evaluations:
        return ""
    found = {measure.key: measure.label for measure in facts.evaluations[0].view.measures}
    named = [found[key] for key in keys if key in found]
    return f"{', '.join(named)}{end}." if named else ""
