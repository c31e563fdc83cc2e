"""Scores of a segmentation, with the rule that each number follows written beside it.

Names are imported when they are asked for: `import monai` costs five seconds, and the tables of an evaluation are read
without it; pandas costs a tenth of a second, and sizes and intensities are measured without that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily

if TYPE_CHECKING:
    from pipeline.metrics.bootstrap import bootstrap_interval
    from pipeline.metrics.boundary import boundary_scores, surface_distances
    from pipeline.metrics.calibration import Reliability
    from pipeline.metrics.case_table import CaseTable, discard_unfinished
    from pipeline.metrics.definitions import EMPTY_MASK_POLICY, METRICS, OVERLAP_METRICS, Metric, Tolerance
    from pipeline.metrics.folder import Evaluation, read_evaluation, write_evaluation
    from pipeline.metrics.overlap import confusion_matrix, overlap_scores
    from pipeline.metrics.paired import PAIRED_RULE, PairedDifference, paired_differences
    from pipeline.metrics.result_files import require_no_results
    from pipeline.metrics.summary import MEAN_OF_CLASSES, distance_unit, summarise, volume_error
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
        "EMPTY_MASK_POLICY": "definitions",
        "Evaluation": "folder",
        "MEAN_OF_CLASSES": "summary",
        "METRICS": "definitions",
        "Metric": "definitions",
        "OVERLAP_METRICS": "definitions",
        "PAIRED_RULE": "paired",
        "PairedDifference": "paired",
        "Reliability": "calibration",
        "Tally": "tally",
        "Tolerance": "definitions",
        "bootstrap_interval": "bootstrap",
        "boundary_scores": "boundary",
        "confusion_matrix": "overlap",
        "discard_unfinished": "case_table",
        "distance_unit": "summary",
        "overlap_scores": "overlap",
        "paired_differences": "paired",
        "read_evaluation": "folder",
        "require_no_results": "result_files",
        "summarise": "summary",
        "surface_distances": "boundary",
        "volume_error": "summary",
        "write_evaluation": "folder",
    },
)
