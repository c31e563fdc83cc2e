"""Fitting a bundle's gate, and checking it on a set."""

from pipeline.tasks.calibrate.check import Checked, CheckResult, check_gate
from pipeline.tasks.calibrate.fit import CalibrationResult, calibrate

__all__ = ["CalibrationResult", "CheckResult", "Checked", "calibrate", "check_gate"]
