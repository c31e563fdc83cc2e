"""Scores of a segmentation, with the rule that each number follows written beside it.

What computes on tensors is imported when it is asked for: `import monai` costs five seconds, and the tables of an
evaluation are read without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily
from pipeline.metrics.bootstrap import bootstrap_interval
from pipeline.metrics.calibration import Reliability
from pipeline.metrics.definitions import EMPTY_MASK_POLICY, METRICS, OVERLAP_METRICS, Metric, Tolerance
from pipeline.metrics.folder import Evaluation, read_evaluation, require_no_results, write_evaluation
from pipeline.metrics.paired import PAIRED_RULE, PairedDifference, paired_differences
from pipeline.metrics.summary import MEAN_OF_CLASSES, distance_unit, summarise, volume_error

if TYPE_CHECKING:
    from pipeline.metrics.boundary import boundary_scores, surface_distances
    from pipeline.metrics.case_table import CaseTable, discard_unfinished
    from pipeline.metrics.overlap import confusion_matrix, overlap_scores
    from pipeline.metrics.tally import Tally

__all__ = [
    "EMPTY_MASK_POLICY",
    "MEAN_OF_CLASSES",
    "METRICS",
    "OVERLAP_METRICS",
    "PAIRED_RULE",
    "CaseTable",
    "Evaluation",
    "Metric",
    "PairedDifference",
    "Reliability",
    "Tally",
    "Tolerance",
    "bootstrap_interval",
    "boundary_scores",
    "confusion_matrix",
    "discard_unfinished",
    "distance_unit",
    "overlap_scores",
    "paired_differences",
    "read_evaluation",
    "require_no_results",
    "summarise",
    "surface_distances",
    "volume_error",
    "write_evaluation",
]

__getattr__ = lazily(
    __name__,
    {
        "CaseTable": "case_table",
        "Tally": "tally",
        "boundary_scores": "boundary",
        "confusion_matrix": "overlap",
        "discard_unfinished": "case_table",
        "overlap_scores": "overlap",
        "surface_distances": "boundary",
    },
)
