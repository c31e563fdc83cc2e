"""Best and last checkpoint of a training, written whole or not at all, and resumed with the best score kept."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import Trainer
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from pipeline.errors import Diverged, InvalidDatalist, InvalidOption
from pipeline.tensor_files import save_aside

__all__ = ["Checkpoints", "Patience", "in_half"]

# What a schedule plans by. The config says it, also to a training that is resumed with more epochs or another learning
# rate: taken from the checkpoint, a cosine would end with the former epochs and then rise again.
PLAN = ("base_lrs", "t_total", "T_max", "total_iters")
# Batch statistics: a variance is divided by, and they are few.
STATISTICS = ("running_mean", "running_var")


class Checkpoints:
    """Handler of both the trainer and its validator: `model.pt` is the kept network, `last.pt` resumes the training.

    MONAI's CheckpointSaver does the same in two instances, but forgets the best score when a training is resumed, so
    that the first validation afterwards overwrites the best weights with whatever there is. Here the score is part of
    `last.pt`.

    Args:
        folder: Where both files are written. `model.pt` is a plain state dict, as bundles have it.
        state: What `last.pt` holds, each with `state_dict()`; must have "network". The trainer and this object are
            added when the handler is attached to the trainer.
        best: Which of them is validated, and so becomes `model.pt`.
        share: Of the time, that writing `last.pt` may take: where epochs are short it is not written after each of
            them, but always after a better validation and at the end.
        half: Write `model.pt` in float16, at half the size. It loads into float32 networks as it is: `load_state_dict`
            copies values, which keep three digits; see `in_half`. Such rounded weights are what is validated, so that
            the scores are those of the file; training goes on with the exact ones.
        keep: "best", and `model.pt` is of the best validation; or "last", and it is of the last one: what a few cases
            like best is chance, and the end of a falling learning rate is better.

    Attributes:
        same_cases: Whether a training that goes on is known to have the cases that it was begun with, so that epochs of
            another length are those of another `batch_size`.

    Raises: InvalidOption: if `keep` is something else.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        state: Mapping[str, Any],
        best: str = "network",
        half: bool = False,
        share: float = 0.01,
        keep: str = "best",
    ) -> None:
        if keep not in ("best", "last"):
            raise InvalidOption(f'checkpoints: keep is "{keep}"; expected "best" or "last".')
        self.folder = Path(folder)
        self.share = share
        self.best = best
        self.half = half
        self.keeps_last = keep == "last"
        self.state: dict[str, Any] = {**state, "best": self}
        self.best_metric = float("-inf")
        self.best_epoch = 0
        # The best validation, which is that of the kept weights unless the last ones are kept.
        self.highest = float("-inf")
        self.improved_epoch = 0
        self.seconds = 0.0  # that writing has taken so far
        self.same_cases = False
        self.resumed = (0, 0)  # the epoch that a training was resumed after, and the best one until then
        self._last = (0.0, 0.0)  # when `last.pt` was written, and what that took, s
        self._saved_epoch = 0
        self._exact: dict[str, Any] = {}  # while rounded weights are being validated
        self._batches: int | None = None  # an epoch's, as the config and the data have it
        self._validator: Engine | None = None
        self._validated_epoch = 0

    @property
    def best_path(self) -> Path:
        """The weights that are kept: of the best validation, or of the last."""
        return self.folder / "model.pt"

    @property
    def last_path(self) -> Path:
        """Everything that resuming needs."""
        return self.folder / "last.pt"

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer (after the validation handler) and to the validator."""
        if isinstance(engine, Trainer):
            self.state["trainer"] = engine
            self._batches = engine.state.epoch_length
            engine.add_event_handler(Events.STARTED, self.take_up)
            engine.add_event_handler(Events.STARTED, self.follow_schedule)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.require_numbers)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.validate_last)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.save_last_in_time)
            engine.add_event_handler(Events.COMPLETED, self.save_last)
        else:
            self._validator = engine
            engine.add_event_handler(Events.STARTED, self.require_numbers)
            engine.add_event_handler(Events.STARTED, self.round_off)
            engine.add_event_handler(Events.COMPLETED, self.save_if_better)
            engine.add_event_handler(Events.COMPLETED, self.put_back)

    def take_up(self, trainer: Engine) -> None:
        """Note where a resumed training goes on: with another batch size behind as many whole epochs.

        Raises: InvalidOption: if the checkpoint's epochs have another length than the data and the batch size give, and
            the cases may be others. The engine would keep the checkpoint's: part of the data would be left out of each
            epoch, or seen twice.
        """
        self.resumed = (int(trainer.state.epoch), self.improved_epoch)
        self._saved_epoch, self._last = 0, (0.0, 0.0)
        before = trainer.state.epoch_length
        if self._batches is None or before == self._batches:
            return
        if not self.same_cases:
            raise InvalidOption(
                f"{self.last_path}: its epochs have {before} batches, those of this datalist and batch_size have "
                f"{self._batches}. Resume with the datalist and the batch_size that the training was begun with, or "
                "begin again in another folder."
            )
        trainer.state.epoch_length = self._batches
        trainer.state.iteration = trainer.state.epoch * self._batches

    def follow_schedule(self, trainer: Engine) -> None:
        """Set the first learning rate by the schedule as it now is; the checkpoint has the former one's."""
        schedule = self.state.get("lr_scheduler")
        if not isinstance(schedule, LambdaLR):
            # The others go on from the rate as it is, which is the checkpoint's: as much of the new one as of the old.
            groups = schedule.optimizer.param_groups if schedule is not None else []
            for base, group in zip(getattr(schedule, "base_lrs", ()), groups, strict=False):
                before = group.get("initial_lr", base)
                if before and before != base:
                    group["lr"] *= base / before
                    group["initial_lr"] = base
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would have `get_lr` called by `step` alone
            rates = schedule.get_lr()
        for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def require_numbers(self, engine: Engine) -> None:
        """Stop a training that has diverged, before it is validated or its weights replace good ones.

        Raises: Diverged: if a weight of the network, or of the one that is validated, is not finite.
        """
        if "trainer" not in self.state:
            return
        # A sum is not finite if a part is not; the device is asked once.
        sums = [value.detach().sum() for name in {"network", self.best} for value in self.state[name].parameters()]
        if bool(torch.isfinite(torch.stack(sums)).all()):
            return
        epoch, before = int(self.state["trainer"].state.epoch), self._saved_epoch or self.resumed[0]
        if before:
            on = f"{self.last_path} is of epoch {before}: go on from there with --resume and a lower learning_rate"
        else:
            on = "Begin again with a lower learning_rate"
        raise Diverged(f"Epoch {epoch}: the training has diverged, its weights are no numbers any more. {on}.")

    def validate_last(self, trainer: Engine) -> None:
        """Validate after the last epoch, whose number may be no multiple of the validations' interval."""
        epoch = int(trainer.state.epoch)
        if self._validator is not None and epoch == trainer.state.max_epochs != self._validated_epoch:
            self._validator.run(epoch)

    def round_off(self, evaluator: Engine) -> None:
        """With `half`, give the network that is validated the values that float16 keeps of it."""
        if not self.half:
            return
        network = self.state[self.best]
        self._exact = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(in_half(self._exact))

    def put_back(self, evaluator: Engine) -> None:
        """Give it back its exact values."""
        if not self._exact:
            return
        self.state[self.best].load_state_dict(self._exact)
        self._exact = {}

    def save_if_better(self, evaluator: Engine) -> None:
        """Write `model.pt` if this validation's key metric is the best so far, or the last one is kept.

        Raises: InvalidDatalist: if the validation had nothing to score.
        """
        if "trainer" in self.state:
            self._validated_epoch = int(self.state["trainer"].state.epoch)
        name = evaluator.state.key_metric_name
        detail = evaluator.state.metric_details.get(name)
        if detail is not None and bool(torch.isnan(torch.as_tensor(detail)).all()):  # MONAI's mean of nothing is 0
            raise InvalidDatalist(
                "No mask of the validation part has a pixel of any class: there is nothing to choose weights by. Split "
                "the set otherwise (planar index with --stratify, or another --seed)."
            )
        metric = float(evaluator.state.metrics[name])
        better = metric > self.highest  # also false for NaN
        if not (better or (self.keeps_last and math.isfinite(metric))):
            return
        self.best_metric = metric
        self.highest = max(metric, self.highest)
        if "trainer" in self.state:
            self.best_epoch = int(self.state["trainer"].state.epoch)
            self.improved_epoch = self.best_epoch if better else self.improved_epoch
            self.state["trainer"].state.best_validation = self.highest  # for whoever shows the progress
        if idist.get_rank() == 0:
            weights = _weights(self.state[self.best])
            self._save(in_half(weights) if self.half else weights, self.best_path)

    def save_last_in_time(self, trainer: Engine) -> None:
        """Write `last.pt` after an epoch, unless writing would take more than its share of the time."""
        when, took = self._last
        if time.perf_counter() - when >= took / self.share or self.best_epoch == trainer.state.epoch:
            self.save_last(trainer)

    def save_last(self, trainer: Engine) -> None:
        """Write `last.pt`, if it is not that of this epoch already."""
        if idist.get_rank() == 0 and self._saved_epoch != trainer.state.epoch:
            before = self.seconds
            self._save({name: _weights(part) for name, part in self.state.items()}, self.last_path)
            self._last = (time.perf_counter(), self.seconds - before)
            self._saved_epoch = int(trainer.state.epoch)

    def _save(self, content: Any, path: Path) -> None:
        began = time.perf_counter()
        save_aside(content, path)
        self.seconds += time.perf_counter() - began

    def state_dict(self) -> dict[str, float | int]:
        """The kept weights' score and its epoch."""
        state: dict[str, float | int] = {"best_metric": self.best_metric, "best_epoch": self.best_epoch}
        return state | ({"highest": self.highest, "improved_epoch": self.improved_epoch} if self.keeps_last else {})

    def load_state_dict(self, state: Mapping[str, float | int]) -> None:
        """Take up a former training's best score."""
        self.best_metric = float(state["best_metric"])
        self.best_epoch = int(state["best_epoch"])
        self.highest = float(state.get("highest", self.best_metric))
        self.improved_epoch = int(state.get("improved_epoch", self.best_epoch))


class Patience:
    """Handler of the validator: ends a training that has not become better for a number of epochs.

    MONAI's EarlyStopHandler forgets what it has counted when a training is resumed; this one counts from the best
    epoch, which is part of `last.pt`. A training that ended this way and is resumed gets its patience anew.

    Args:
        checkpoints: Which knows the trainer and the best epoch; it must be attached to the validator before this one.
        epochs: Epochs without a better validation before training ends.
    """

    def __init__(self, checkpoints: Checkpoints, epochs: int) -> None:
        self.checkpoints = checkpoints
        self.epochs = epochs

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        engine.add_event_handler(Events.COMPLETED, self.end_if_spent)

    def end_if_spent(self, evaluator: Engine) -> None:
        """End the training if its patience is spent."""
        kept = self.checkpoints
        if "trainer" not in kept.state:
            return
        trainer: Engine = kept.state["trainer"]
        begun, best_then = kept.resumed
        since = max(kept.improved_epoch, begun if begun - best_then >= self.epochs else 0)
        if trainer.state.epoch - since >= self.epochs:
            trainer.terminate()


def in_half(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights in float16; a tensor that has two names stays one.

    Batch statistics stay in float32, and so does a tensor that has a value beyond float16's 65504.

    Args:
        weights: A state dict.
    """
    halved: dict[tuple[Any, ...], torch.Tensor] = {}
    found: dict[str, Any] = {}
    for name, value in weights.items():
        if isinstance(value, torch.Tensor) and value.dtype == torch.float32 and not name.endswith(STATISTICS):
            key = (value.data_ptr(), value.shape, value.stride())
            if key not in halved:
                small = value.half()
                halved[key] = small if bool(torch.isfinite(small).all()) else value
            value = halved[key]
        found[name] = value
    return found


def _weights(part: Any) -> dict[str, Any]:
    """The state of a part; of a wrapped network that of the one inside, of a schedule how far it is."""
    inner = part.module if isinstance(part, nn.parallel.DistributedDataParallel) else part
    state: dict[str, Any] = inner.state_dict()
    if isinstance(inner, LRScheduler):
        return {name: value for name, value in state.items() if name not in PLAN}
    return state
