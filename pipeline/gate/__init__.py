"""The gate: which predictions may be used as they are, and which a person must look at first.

Names are imported when they are asked for: a page of verdicts needs none of torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily

if TYPE_CHECKING:
    from pipeline.gate.coverage import COVERAGE_RULE, RiskCoverage, risk_coverage
    from pipeline.gate.defaults import default_rules
    from pipeline.gate.degradation import DEGRADATIONS, degrade, draw_steps, restore
    from pipeline.gate.dice_model import Band, DiceModel, dice_band, held_out_predictions, lowest_acceptable
    from pipeline.gate.document import Gate, read_gate, settings_sha256
    from pipeline.gate.features import FeatureTap, flips_of, innermost_layers, members_of
    from pipeline.gate.perturb import VIEWS, View
    from pipeline.gate.place import gate_path
    from pipeline.gate.reference import Reference, held_out_distances
    from pipeline.gate.rules import ClassRules, Rules, broken_rules, read_rules, rules_from
    from pipeline.gate.signals import ClassSignals, class_signals
    from pipeline.gate.verdict import REASON_SEPARATOR, Verdict

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

__getattr__ = lazily(
    __name__,
    {
        **dict.fromkeys(("COVERAGE_RULE", "RiskCoverage", "risk_coverage"), "coverage"),
        "default_rules": "defaults",
        **dict.fromkeys(("ClassRules", "Rules", "broken_rules", "read_rules", "rules_from"), "rules"),
        **dict.fromkeys(("REASON_SEPARATOR", "Verdict"), "verdict"),
        **dict.fromkeys(("DEGRADATIONS", "degrade", "draw_steps", "restore"), "degradation"),
        **dict.fromkeys(("Band", "DiceModel", "dice_band", "held_out_predictions", "lowest_acceptable"), "dice_model"),
        **dict.fromkeys(("Gate", "read_gate", "settings_sha256"), "document"),
        **dict.fromkeys(("FeatureTap", "flips_of", "innermost_layers", "members_of"), "features"),
        **dict.fromkeys(("VIEWS", "View"), "perturb"),
        "gate_path": "place",
        **dict.fromkeys(("Reference", "held_out_distances"), "reference"),
        **dict.fromkeys(("ClassSignals", "class_signals"), "signals"),
    },
)
