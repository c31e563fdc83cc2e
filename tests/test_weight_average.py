"""The running mean of the weights, of all tensors at once."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from ignite.handlers import EMAHandler
from torch import nn

from pipeline.handlers import WeightAverage


def test_it_is_ignites_mean() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))
    ours, theirs = WeightAverage(network, 0.2), EMAHandler(network, 0.2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)

    def step(_engine: Engine, _batch: int) -> None:
        optimizer.zero_grad()
        network(torch.rand(2, 1, 8, 8)).square().mean().backward()
        optimizer.step()

    engine = Engine(step)
    for handler, name in ((ours, "ours"), (theirs, "theirs")):
        handler.attach(engine, name=name)
    engine.run(range(5))
    expected = theirs.ema_model.state_dict()
    for name, value in ours.ema_model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-7, msg=name)
    assert not torch.equal(ours.ema_model[0].weight, network[0].weight)
