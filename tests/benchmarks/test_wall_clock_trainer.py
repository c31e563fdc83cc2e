from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.nnunet.environment import PLUGINS

BUDGET = 100.0


class Time:
    def __init__(self) -> None:
        self.now = 5000.0

    def time(self) -> float:
        return self.now


class Poly:
    """nnU-Net's schedule, as far as the trainer touches it."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.max_steps = optimizer, 1000

    def step(self, current: float) -> None:
        self.optimizer.param_groups[0]["lr"] = 0.01 * (1 - current / self.max_steps) ** 0.9


class StubTrainer:
    """What the trainer uses of nnU-Net's: a step takes ten seconds, the start twenty."""

    def __init__(self, passing: Time, folder: Path) -> None:
        self.passing, self.output_folder = passing, str(folder)
        self.network = torch.nn.Linear(3, 2)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.01)
        self.lr_scheduler = Poly(self.optimizer)
        self.configuration_manager = types.SimpleNamespace(patch_size=(64, 96), spacing=(2.0, 2.0))
        self.batch_size, self.rates, self.saved = 4, [], []
        self.device = torch.device("cpu")
        self.dataloader_train = iter(lambda: {"data": torch.ones(4, 3), "target": torch.zeros(4).long()}, None)

    def on_train_start(self) -> None:
        self.passing.now += 20

    def train_step(self, batch: dict[str, Any]) -> dict[str, float]:
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        self.passing.now += 10
        return {"loss": 1.0}

    def on_train_end(self) -> None:
        self.saved.append(self.passing.now)

    def print_to_log_file(self, *words: object) -> None:
        pass


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The trainer's module, with a stub in the place of nnU-Net."""
    name = "nnunetv2.training.nnUNetTrainer.nnUNetTrainer"
    parts = name.split(".")
    for k in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:k]), types.ModuleType(".".join(parts[:k])))
    sys.modules[name].nnUNetTrainer = StubTrainer  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location("plugin", PLUGINS / "trainers" / "wall_clock_trainer.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trained(plugin: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[StubTrainer, dict[str, Any]]:
    passing = Time()
    monkeypatch.setattr(plugin, "time", passing)
    monkeypatch.setenv("WALL_CLOCK_DEADLINE", str(passing.now + BUDGET))
    trainer = plugin.WallClockTrainer(passing, folder)
    trainer.run_training()
    return trainer, json.loads((folder / "wall_clock.json").read_text())


def test_training_ends_in_time_and_is_saved(plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, report = trained(plugin, tmp_path, monkeypatch)
    # 20 s of the budget went into the start.
    assert report["steps"] == len(trainer.rates) == 8
    assert report["ended"] == 5000 + BUDGET
    assert trainer.saved == [5000 + BUDGET]
    assert report["parameters"] == 8
    assert (report["batch_size"], report["patch_size"]) == (4, [64, 96])


def test_the_learning_rate_falls_to_nothing_with_the_time(
    plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, _ = trained(plugin, tmp_path, monkeypatch)
    expected = [0.01 * (1 - 10 * k / 80) ** 0.9 for k in range(8)]
    assert trainer.rates == pytest.approx(expected)


def test_bfloat16_computes_the_same_step_more_coarsely(plugin: Any, tmp_path: Path) -> None:
    trainer = plugin.WallClockTrainerBF16(Time(), tmp_path)
    seen = []

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(output.dtype)
        return torch.nn.functional.cross_entropy(output, target)

    trainer.loss = loss
    before = trainer.network.weight.detach().clone()
    batch = next(trainer.dataloader_train)
    with torch.no_grad():
        exact = torch.nn.functional.cross_entropy(trainer.network(batch["data"]), batch["target"])
    result = trainer.train_step(batch)
    assert seen == [torch.float32]
    assert float(result["loss"]) == pytest.approx(float(exact), abs=0.02)
    assert not torch.equal(trainer.network.weight, before)
    assert trainer.network.weight.dtype == torch.float32
