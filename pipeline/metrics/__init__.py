"""Scores of a segmentation, with the rule that each number follows written beside it."""

from pipeline.metrics.case_table import CaseTable
from pipeline.metrics.overlap import EMPTY_MASK_POLICY, OVERLAP_METRICS, overlap_scores
from pipeline.metrics.summary import summarise

__all__ = ["EMPTY_MASK_POLICY", "OVERLAP_METRICS", "CaseTable", "overlap_scores", "summarise"]
