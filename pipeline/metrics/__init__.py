"""Scores of a segmentation, with the rule that each number follows written beside it."""

from pipeline.metrics.bootstrap import bootstrap_interval
from pipeline.metrics.boundary import boundary_scores, surface_distances
from pipeline.metrics.calibration import Reliability
from pipeline.metrics.case_table import CaseTable, discard_unfinished
from pipeline.metrics.definitions import EMPTY_MASK_POLICY, METRICS, OVERLAP_METRICS, Metric, Tolerance
from pipeline.metrics.folder import Evaluation, read_evaluation, require_no_results, write_evaluation
from pipeline.metrics.overlap import confusion_matrix, overlap_scores
from pipeline.metrics.paired import PAIRED_RULE, PairedDifference, paired_differences
from pipeline.metrics.summary import MEAN_OF_CLASSES, distance_unit, summarise
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
    "write_evaluation",
]
