"""The Dice of a training's batches against MONAI's metric, which takes hard masks case by case."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine
from monai.metrics import DiceMetric
from monai.networks.utils import one_hot

from pipeline.training_dice import TrainingDice, dice_of_scores


def batches(classes: int, count: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(classes)
    made = []
    for _ in range(count):
        scores = torch.randn(4, classes, 9, 7, generator=generator)
        truth = torch.randint(classes, (4, 1, 9, 7), generator=generator).float()
        truth[0] = truth[0].clamp(max=classes - 2)  # a case without the last class
        truth[1] = 0  # and one without any
        made.append((scores, truth))
    return made


def by_monai(made: list[tuple[torch.Tensor, torch.Tensor]], classes: int) -> float:
    metric = DiceMetric(include_background=False)
    for scores, truth in made:
        metric(one_hot(scores.argmax(1, keepdim=True), classes), one_hot(truth, classes))
    return float(metric.aggregate())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_it_is_the_metric_of_monai(classes: int) -> None:
    made = batches(classes)
    metric = TrainingDice()
    engine = Engine(lambda engine, batch: batch)
    metric.attach(engine, "train_mean_dice")
    for _ in range(2):  # a second epoch begins anew
        engine.run(made)
        assert engine.state.metrics["train_mean_dice"] == pytest.approx(by_monai(made, classes), abs=1e-6)


def test_a_case_by_hand() -> None:
    truth = torch.tensor([0, 1, 1, 0]).reshape(1, 1, 2, 2)
    scores = torch.zeros(1, 2, 2, 2)
    scores[0, 1, 0] = 1  # the upper two pixels are found, one of them rightly
    assert dice_of_scores(scores, truth).tolist() == [[2 * 1 / (2 + 2)]]


def test_without_any_class_it_is_zero() -> None:
    metric = TrainingDice()
    assert metric.compute() == 0
    metric.update((torch.randn(2, 2, 4, 4), torch.zeros(2, 1, 4, 4)))
    assert metric.compute() == 0
