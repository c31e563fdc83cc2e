"""All that a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.bundle import Bundle
from pipeline.datalist import Datalist
from pipeline.report.evaluation import EvaluationView
from pipeline.report.pictures import CaseSource
from pipeline.step_times import PhaseTime

__all__ = ["Material"]


@dataclass(frozen=True, eq=False)
class Material:
    """An evaluation with what is known around it; what is not known is None or empty.

    Attributes:
        evaluation: The evaluation.
        source: Its cases' pictures.
        datalist: The datalist of `source`.
        bundle: The bundle that was evaluated.
        same_weights: Whether the bundle's weights are the evaluated ones; None if that is not recorded.
        history: Rows of the training's `history.csv`.
        step_times: Where the time of the training went, if it was trained with `--profile`.
        kept_epoch: That the weights are of, if a record beside them says it.
        fingerprint: A `planar-fingerprint/1` of the training data or of the evaluated data.
    """

    evaluation: EvaluationView
    source: CaseSource | None = None
    datalist: Datalist | None = None
    bundle: Bundle | None = None
    same_weights: bool | None = None
    history: Sequence[Mapping[str, float]] = field(default_factory=list)
    step_times: Sequence[PhaseTime] = ()
    kept_epoch: int | None = None
    fingerprint: Mapping[str, Any] | None = None
