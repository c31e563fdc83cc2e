"""Cross-validation: the folds of a datalist, a training for each, and one table of all cases scored out of fold."""

from pipeline.tasks.folds.record import FoldsRecord, FoldState, is_folds, read_folds, read_state
from pipeline.tasks.folds.run import CrossValidation, train_folds

__all__ = ["CrossValidation", "FoldState", "FoldsRecord", "is_folds", "read_folds", "read_state", "train_folds"]
