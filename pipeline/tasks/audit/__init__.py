"""Whether what is recorded of a run is still true: checked, compared with another run, packed for others."""

from pipeline.tasks.audit.check import Check, Outcome, Verdict

__all__ = ["Check", "Outcome", "Verdict"]
