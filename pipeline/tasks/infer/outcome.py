"""What an inference came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tasks.infer.gating import Judged
from pipeline.tasks.infer.sources import Refusal

if TYPE_CHECKING:
    from pipeline.tasks.infer.returned import Returned

__all__ = ["InferenceResult"]


@dataclass(frozen=True)
class InferenceResult:
    """What an inference came to.

    Attributes:
        out: The output folder.
        masks: Mask files, in the order of the sources; a volume as PNG counts as its folder.
        segmented: Sources that got their masks.
        slices: Pictures and slices that were segmented.
        refused: Sources without a mask.
        warnings: What readers had to say, by file, and what was left out.
        labels: Class index → name: what the values in the masks mean.
        seconds: Duration of retrieving, segmenting and writing, without the loading of libraries and weights, s.
        judged: Verdicts, in the order of the sources; empty without a gate.
        not_judged: Why there are none; empty if there are, or none were wanted.
        run_id: MLflow run, or None without tracking.
        shortfall: What MLflow does not have of the run yet, in one line; None if it has everything.
        table: The table of statistics, if there is one.
        returned: What came of an archive's images; None for files.
        ran: Whether the bundle or its exported program predicted, in one line; "" where there is no choice.
        told_later: Whether the run is being written to MLflow by a process of its own, so that its id is not known yet.
    """

    out: Path
    masks: tuple[Path, ...]
    segmented: int
    slices: int
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    labels: dict[int, str]
    seconds: float
    judged: tuple[Judged, ...] = ()
    not_judged: str = ""
    run_id: str | None = None
    shortfall: str | None = None
    table: Path | None = None
    returned: Returned | None = None
    ran: str = ""
    told_later: bool = False

    @property
    def to_review(self) -> tuple[Judged, ...]:
        """The sources that a person must look at."""
        return tuple(one for one in self.judged if one.verdict.decision == "review")
