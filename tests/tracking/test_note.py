"""The description that MLflow's pages show of a run."""

from __future__ import annotations

import math

from pipeline.tracking.note import note_of
from pipeline.tracking.words import TAG_LENGTH

RUN = "0123456789abcdef0123456789abcdef"


def test_a_training_says_on_what_how_well_and_how_it_is_checked() -> None:
    cases = {"training": 359, "validation": 22, "test": 67}
    text = note_of("training", "lungs", RUN, data="films", cases=cases, best=(12, 0.95123))
    told, check = text.split("\n\n")
    first = "Training of `lungs` on `films`: 359 training, 22 validation cases (67 test cases held back)."
    assert told == f"{first} Mean Dice of the validation of its weights: **0.9512**, epoch 12."
    assert check.endswith("`planar audit verify 0123456789ab`")


def test_a_cross_validation_holds_back_the_test_part() -> None:
    cases = {"training": 359, "validation": 22, "test": 67}
    text = note_of("cross-validation", "lungs", RUN, data="films", cases=cases)
    assert "359 training, 22 validation cases (67 test cases held back)." in text


def test_an_evaluation_says_the_dice_of_its_classes_that_have_one() -> None:
    values = {"dice_left": 0.91, "dice_right": math.nan, "dice_mean": 0.91, "iou_left": 0.8}
    text = note_of("evaluation", "lungs", RUN, data="films", cases={"test": 67}, values=values)
    assert text.startswith("Evaluation of `lungs` on `films`: 67 test cases.")
    assert "Dice: left **0.9100**, mean **0.9100**." in text


def test_a_run_that_has_only_begun_says_what_it_is() -> None:
    text = note_of("inference", "lungs", RUN)
    assert text.startswith("Inference with `lungs`.\n\nPlanar ")


def test_a_resumed_training_says_so() -> None:
    assert "Resumes run abc." in note_of("training", "lungs", RUN, resumes="run abc")


def test_many_classes_fit_into_a_tag() -> None:
    values = {f"dice_a_rather_long_name_of_a_class_{k}": 0.5 for k in range(117)}
    text = note_of("evaluation", "organs_of_the_whole_body", RUN, data="slices", cases={"test": 999}, values=values)
    assert len(text) <= TAG_LENGTH
    assert "111 more" in text
