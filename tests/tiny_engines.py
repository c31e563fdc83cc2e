"""MONAI's own trainer and evaluator on a few pixels: what handlers meet in a real training, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, MeanDice, ValidationHandler, from_engine
from torch import nn

CLASSES = 3


def cases(count: int = 4) -> list[dict[str, torch.Tensor]]:
    """Random films and one-hot masks of three classes."""
    generator = torch.Generator().manual_seed(0)
    masks = [torch.randint(CLASSES, (6, 6), generator=generator) for _ in range(count)]
    return [
        {"image": mask[None].float(), "label": nn.functional.one_hot(mask, CLASSES).permute(2, 0, 1).float()}
        for mask in masks
    ]


@dataclass
class Training:
    """A trainer with its validator; `scores` replaces the key metric of each validation in turn."""

    max_epochs: int = 3
    scores: Sequence[float] | None = None
    network: nn.Module = field(default_factory=lambda: nn.Conv2d(1, CLASSES, 1))
    wrapped: nn.Module | None = None
    train_handlers: list[Any] = field(default_factory=list)
    val_handlers: list[Any] = field(default_factory=list)
    background: bool = False
    decollate: bool = True
    interval: int = 1

    def __post_init__(self) -> None:
        network = self.wrapped if self.wrapped is not None else self.network
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        self.lr_scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size=1, gamma=0.5)
        self.validator = SupervisedEvaluator(
            device=torch.device("cpu"),
            val_data_loader=DataLoader(Dataset(cases()), batch_size=2),
            network=network,
            postprocessing=_harden,
            key_val_metric={
                "val_mean_dice": MeanDice(
                    include_background=self.background, output_transform=from_engine(["pred", "label"])
                )
            },
            val_handlers=[],
        )
        if self.scores is not None:
            left = list(self.scores)
            self.validator.add_event_handler(
                Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(val_mean_dice=left.pop(0))
            )
        for handler in self.val_handlers:
            handler.attach(self.validator)
        self.trainer = SupervisedTrainer(
            device=torch.device("cpu"),
            max_epochs=self.max_epochs,
            train_data_loader=DataLoader(Dataset(cases()), batch_size=2),
            network=network,
            optimizer=self.optimizer,
            loss_function=nn.CrossEntropyLoss(),
            decollate=self.decollate,
            train_handlers=[
                LrScheduleHandler(self.lr_scheduler, print_lr=False),
                ValidationHandler(validator=self.validator, interval=self.interval),
                *self.train_handlers,
            ],
        )


def _harden(case: dict[str, Any]) -> dict[str, Any]:
    hard = case["pred"].argmax(dim=0)
    return {
        **case,
        "pred": nn.functional.one_hot(hard.long().as_subclass(torch.Tensor), CLASSES).permute(2, 0, 1).float(),
    }
