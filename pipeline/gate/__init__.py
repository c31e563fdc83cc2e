"""The gate: which predictions may be used as they are, and which a person must look at first."""

from pipeline.gate.coverage import COVERAGE_RULE, RiskCoverage, risk_coverage
from pipeline.gate.defaults import default_rules
from pipeline.gate.degrade import DEGRADATIONS, degrade, draw_steps, restore
from pipeline.gate.dice_model import Band, DiceModel, dice_band, held_out_predictions, lowest_acceptable
from pipeline.gate.document import (
    REASON_SEPARATOR,
    Gate,
    Verdict,
    gate_path,
    read_gate,
    settings_sha256,
)
from pipeline.gate.features import FeatureTap, flips_of, innermost_layers, members_of
from pipeline.gate.perturb import VIEWS, View
from pipeline.gate.reference import Reference, held_out_distances
from pipeline.gate.rules import ClassRules, Rules, broken_rules, read_rules, rules_from
from pipeline.gate.signals import ClassSignals, class_signals

__all__ = [
    "COVERAGE_RULE",
    "DEGRADATIONS",
    "REASON_SEPARATOR",
    "VIEWS",
    "Band",
    "ClassRules",
    "ClassSignals",
    "DiceModel",
    "FeatureTap",
    "Gate",
    "Reference",
    "RiskCoverage",
    "Rules",
    "Verdict",
    "View",
    "broken_rules",
    "class_signals",
    "default_rules",
    "degrade",
    "dice_band",
    "draw_steps",
    "flips_of",
    "gate_path",
    "held_out_distances",
    "held_out_predictions",
    "innermost_layers",
    "lowest_acceptable",
    "members_of",
    "read_gate",
    "read_rules",
    "restore",
    "risk_coverage",
    "rules_from",
    "settings_sha256",
]
