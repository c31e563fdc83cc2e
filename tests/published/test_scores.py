"""The quantised mean squared error by hand."""

import pytest
import torch
from ignite.engine import Engine
from monai.handlers import MeanSquaredError

from pipeline.published import grey_levels


def one_hot(classes: list[list[int]], number: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(classes), number).movedim(-1, 0).float()


def test_the_error_counts_how_far_apart_the_levels_are() -> None:
    output = [
        {"pred": one_hot([[0, 1], [2, 2]], 3), "label": one_hot([[0, 2], [0, 2]], 3)},  # errors 0, ½, 1, 0
        {"pred": one_hot([[1, 1], [1, 1]], 3), "label": one_hot([[1, 1], [1, 1]], 3)},
    ]
    engine = Engine(lambda engine, batch: output)
    MeanSquaredError(output_transform=grey_levels(3), save_details=False).attach(engine, "mse")
    engine.run([0])
    assert engine.state.metrics["mse"] == pytest.approx((0.25 + 1.0) / 4 / 2)
