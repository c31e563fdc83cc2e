"""What is said of the figures of a cross-validation goes by the weights that its folds keep."""

from pathlib import Path

import pytest
from evaluation_phantoms import evaluated, films

from pipeline.bundle import Bundle
from pipeline.metrics import read_evaluation
from pipeline.tasks.find_best import Best
from pipeline.tasks.find_best.members import choose_members
from pipeline.tasks.find_best.writing import model_card
from pipeline.tasks.folds import FoldsRecord, FoldState
from pipeline.tasks.folds.table import write_tables

STATE = FoldState(0, 8, 4, 2, 0.8, 2, 1.0, None, {"lung": 0.9, "mean_of_classes": 0.9})


def cross_validated(folder: Path, keep: str) -> FoldsRecord:
    """A cross-validation whose bundle keeps the weights of the best or the last validation."""
    (folder / "bundle" / "configs").mkdir(parents=True)
    (folder / "bundle" / "configs" / "train.yaml").write_text(f"checkpoints: {{_target_: Checkpoints{keep}}}\n")
    return FoldsRecord(folder, "lungs", 1, 0, "phantoms", "a" * 64)


@pytest.mark.parametrize(("keep", "chosen"), [("", True), (", keep: best", True), (", keep: last", False)])
def test_an_epoch_was_chosen_on_the_scored_cases_only_where_the_best_is_kept(
    tmp_path: Path, keep: str, chosen: bool
) -> None:
    record = cross_validated(tmp_path / "cv", keep)
    evaluated(tmp_path / "cv" / "fold0" / "eval", films(tmp_path / "films", 4))
    write_tables(record, [STATE])
    rule = read_evaluation(tmp_path / "cv").record["rules"]["out_of_fold"]
    assert ("chosen by its mean Dice on the same fold" in rule) == chosen
    assert ("weights of its last validation" in rule) != chosen
    choice = choose_members([STATE], single=True)
    best = Best(Bundle(tmp_path, "b"), choice, None, None, None, 4, 2, 0, 1.0, ())
    card = model_card(record, best, {"lung": 0.9})
    assert ("whose best epoch, flips and refinement" in card) == chosen
    assert ("whose flips and refinement" in card) != chosen
