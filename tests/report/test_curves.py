from __future__ import annotations

import math
import re

from pipeline.report.curves import best_epoch, duration, training_curves

NAN = math.nan


def history(scores: list[float], **more: list[float]) -> list[dict[str, float]]:
    return [
        {"epoch": k, "train_loss": 1 / k, "val_mean_dice": score, **{n: v[k - 1] for n, v in more.items()}}
        for k, score in enumerate(scores, 1)
    ]


def test_the_best_epoch_is_the_first_of_the_best() -> None:
    assert best_epoch(history([NAN, 0.5, 0.8, 0.8])) == (3, 0.8)
    assert best_epoch(history([NAN, NAN])) is None


def test_the_curve_says_whose_weights_are_kept() -> None:
    rows = history([0.4, 0.8, 0.7])
    told = [training_curves(rows, kept)[1][0] for kept in (None, 2, 3)]
    assert told[0] == told[1] and "epoch 2, the best validation" in told[0]
    assert "The weights are those of epoch 3; the best validation was that of epoch 2." in told[2]


def test_each_recorded_thing_has_its_curve() -> None:
    found = training_curves(history([0.4, 0.6], learning_rate=[0.1, 0.05], seconds=[3.0, 2.0]))
    assert [caption.split()[0] for caption, _ in found] == ["Loss", "Dice", "Learning"]
    assert "The weights are those of epoch 2" in found[1][0]
    assert "epoch 2: 0.600" in found[1][1]
    assert training_curves([]) == []
    assert len(training_curves(history([NAN, NAN]))) == 1


def test_the_score_of_the_only_class_is_not_drawn_twice() -> None:
    (_, alone), (_, several) = (
        training_curves(history([0.4, NAN, 0.6], val_mean_dice_lung=own))[1]
        for own in ([0.4, NAN, 0.6], [0.5, NAN, 0.7])
    )
    assert "validation Dice lung" not in alone
    assert "validation Dice lung" in several


def test_a_long_training_has_no_more_dots_than_can_be_seen() -> None:
    (_, chart) = training_curves(history([k / 2000 for k in range(2000)]))[1]
    assert len(re.findall("data-tip=", chart)) <= 60
    assert "epoch 2000" in chart


def test_the_duration_is_told_once() -> None:
    assert (
        duration(history([0.1] * 4, seconds=[300.0, 200.0, 200.0, 500.0]))
        == "4 epochs in 20 min; half of them in 250 s or less."
    )
    assert duration(history([0.1, 0.2])) == ""


def test_a_class_keeps_its_name_whatever_it_is_called() -> None:
    rows = history([0.4, 0.6], **{"val_mean_dice_iou dice_1": [0.5, 0.7], "val_mean_iou": [0.3, 0.5]})
    found = training_curves(rows)
    assert [caption.split()[0] for caption, _ in found] == ["Loss", "Dice", "IoU"]
    assert ">validation Dice iou dice_1<" in found[1][1]
