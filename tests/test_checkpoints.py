from __future__ import annotations

import errno
import io
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.handlers import CheckpointLoader, LrScheduleHandler
from monai.optimizers import WarmupCosineSchedule
from tiny_engines import CLASSES, Training, cases
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, StepLR

from pipeline import checkpoints as checkpoints_module
from pipeline.checkpoints import Checkpoints, Patience, in_half
from pipeline.errors import Diverged, InvalidDatalist, InvalidOption
from pipeline.tensor_files import save_aside


def training(
    folder: Path, scores: list[float], *, resume: bool = False, **options: Any
) -> tuple[Training, Checkpoints]:
    """A training with the handlers in the order of the bundle's config."""
    keep = options.pop("keep", "best")
    made = Training(max_epochs=options.pop("max_epochs", len(scores)), scores=scores or None, **options)
    parts = {"network": made.wrapped or made.network, "optimizer": made.optimizer, "lr_scheduler": made.lr_scheduler}
    kept = Checkpoints(folder, parts, keep=keep)
    if resume:
        CheckpointLoader(str(folder / "last.pt"), kept.state, map_location="cpu").attach(made.trainer)
    kept.attach(made.validator)
    kept.attach(made.trainer)
    return made, kept


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_the_best_validation_is_kept_and_the_last_epoch_too(tmp_path: Path) -> None:
    made, kept = training(tmp_path / "models", [0.3, 0.7, 0.5])
    states: list[dict[str, torch.Tensor]] = []

    def remember(_: object) -> None:
        states.append({name: value.clone() for name, value in made.network.state_dict().items()})

    made.trainer.add_event_handler(Events.EPOCH_COMPLETED, remember)
    made.trainer.run()
    assert (kept.best_metric, kept.best_epoch) == (0.7, 2)
    assert same(load(kept.best_path), states[1])
    last = load(kept.last_path)
    assert same(last["network"], states[2])
    assert set(last) == {"network", "optimizer", "lr_scheduler", "trainer", "best"}
    assert last["best"] == {"best_metric": 0.7, "best_epoch": 2}
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["last.pt", "model.pt"]
    assert made.trainer.state.best_validation == 0.7


def test_the_last_validation_is_kept_where_that_was_asked_for(tmp_path: Path) -> None:
    made, kept = training(tmp_path / "models", [0.3, 0.7, 0.5], keep="last")
    made.trainer.run()
    assert (kept.best_metric, kept.best_epoch, kept.keeps_last) == (0.5, 3, True)
    assert same(load(kept.best_path), made.network.state_dict())
    assert made.trainer.state.best_validation == 0.7
    nothing, empty = training(tmp_path / "nothing", [math.nan], keep="last")
    nothing.trainer.run()
    assert not empty.best_path.exists()
    with pytest.raises(InvalidOption, match='keep is "first"; expected "best" or "last"'):
        training(tmp_path, [0.1], keep="first")


def test_patience_counts_from_the_best_validation_also_where_the_last_is_kept(tmp_path: Path) -> None:
    made, kept = training(tmp_path, [0.3, 0.7, 0.5, 0.6, 0.4], keep="last")
    Patience(kept, 2).attach(made.validator)
    made.trainer.run()
    assert (made.trainer.state.epoch, kept.best_epoch, kept.improved_epoch) == (4, 4, 2)
    again, resumed = training(tmp_path, [0.1], keep="last", resume=True, max_epochs=5)
    again.trainer.run()
    assert (resumed.best_epoch, resumed.improved_epoch, resumed.highest) == (5, 2, 0.7)


def test_a_resumed_training_goes_on_where_it_stopped_and_keeps_the_best(tmp_path: Path) -> None:
    first, _ = training(tmp_path, [0.9, 0.4])
    first.trainer.run()
    best = load(tmp_path / "model.pt")
    second, kept = training(tmp_path, [0.5, 0.6], resume=True, max_epochs=4)
    epochs: list[int] = []
    second.trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: epochs.append(engine.state.epoch))
    second.trainer.run()
    assert epochs == [3, 4]
    assert (kept.best_metric, kept.best_epoch) == (0.9, 1)
    assert same(load(tmp_path / "model.pt"), best)
    assert load(tmp_path / "last.pt")["best"]["best_metric"] == 0.9


def test_a_resumed_training_that_becomes_better_replaces_the_best(tmp_path: Path) -> None:
    training(tmp_path, [0.9])[0].trainer.run()
    before = load(tmp_path / "model.pt")
    made, kept = training(tmp_path, [0.95], resume=True, max_epochs=2)
    made.trainer.run()
    assert (kept.best_metric, kept.best_epoch) == (0.95, 2)
    assert not same(load(tmp_path / "model.pt"), before)


def test_a_training_in_two_parts_is_the_training_in_one(tmp_path: Path) -> None:
    start = nn.Conv2d(1, 3, 1).state_dict()

    def run(folder: Path, scores: list[float], **options: Any) -> None:
        made, _ = training(folder, scores, **options)
        if "resume" not in options:
            made.network.load_state_dict(start)
        made.trainer.run()

    run(tmp_path / "one", [0.1, 0.2, 0.3, 0.4])
    run(tmp_path / "two", [0.1, 0.2])
    run(tmp_path / "two", [0.3, 0.4], resume=True, max_epochs=4)
    one, two = (load(tmp_path / name / "last.pt") for name in ("one", "two"))
    assert same(one["network"], two["network"])
    assert one["lr_scheduler"] == two["lr_scheduler"]
    assert one["trainer"] == two["trainer"]


@pytest.mark.parametrize("score", [math.nan, -math.inf])
def test_a_validation_without_a_score_saves_no_best(tmp_path: Path, score: float) -> None:
    made, kept = training(tmp_path, [score])
    made.trainer.run()
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert kept.best_epoch == 0


def test_nan_after_a_good_score_leaves_the_best(tmp_path: Path) -> None:
    made, kept = training(tmp_path, [0.2, math.nan, 0.1])
    made.trainer.run()
    assert (kept.best_metric, kept.best_epoch) == (0.2, 1)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_training_that_diverges_ends_and_leaves_its_files(tmp_path: Path, keep: str) -> None:
    made, _ = training(tmp_path, [0.2, 0.3, 0.4, 0.5], keep=keep)
    kept: list[dict[str, Any]] = []

    def spoil(engine: Engine) -> None:
        if engine.state.epoch == 3:
            kept.extend(load(tmp_path / name) for name in ("model.pt", "last.pt"))
            made.network.weight.data[0] = math.nan

    made.trainer.add_event_handler(Events.EPOCH_STARTED, spoil)
    with pytest.raises(
        Diverged, match=r"Epoch 3: .*last\.pt is of epoch 2: go on .*--resume and a lower learning_rate"
    ):
        made.trainer.run()
    assert same(load(tmp_path / "model.pt"), kept[0])
    assert same(load(tmp_path / "last.pt")["network"], kept[1]["network"])


def test_a_training_that_diverges_at_once_says_to_begin_again(tmp_path: Path) -> None:
    made, _ = training(tmp_path, [0.2])
    made.network.weight.data[0] = math.inf
    with pytest.raises(Diverged, match="Begin again with a lower learning_rate"):
        made.trainer.run()
    assert list(tmp_path.iterdir()) == []


def test_masks_without_a_class_are_told_at_the_first_validation(tmp_path: Path) -> None:
    made, _ = training(tmp_path, [], max_epochs=2)
    empty = [{**case, "label": case["label"] * torch.tensor([1.0, 0, 0])[:, None, None]} for case in cases()]
    made.validator.data_loader = DataLoader(Dataset(empty), batch_size=2)
    with pytest.raises(InvalidDatalist, match="No mask of the validation part"):
        made.trainer.run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("epochs", "validated"), [(5, [2, 4, 5]), (4, [2, 4])])
def test_the_last_epoch_is_validated_whatever_the_interval(tmp_path: Path, epochs: int, validated: list[int]) -> None:
    made = Training(max_epochs=epochs, interval=2)
    kept = Checkpoints(tmp_path, {"network": made.network})
    kept.attach(made.validator)
    kept.attach(made.trainer)
    found: list[int] = []
    made.validator.add_event_handler(Events.COMPLETED, lambda _: found.append(made.trainer.state.epoch))
    made.trainer.run()
    assert found == validated


def test_an_equal_score_does_not_replace_the_first(tmp_path: Path) -> None:
    made, kept = training(tmp_path, [0.2, 0.2])
    made.trainer.run()
    assert kept.best_epoch == 1


def test_a_network_wrapped_for_several_processes_is_saved_without_the_wrapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Parallel(nn.Module):
        """As DistributedDataParallel names things, without its processes."""

        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.module(image)

    monkeypatch.setattr(nn.parallel, "DistributedDataParallel", Parallel)
    network = nn.Conv2d(1, 3, 1)
    made, kept = training(tmp_path, [0.5], network=network, wrapped=Parallel(network))
    made.trainer.run()
    assert list(load(kept.best_path)) == ["weight", "bias"]
    assert list(load(kept.last_path)["network"]) == ["weight", "bias"]


def test_only_the_first_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, kept = training(tmp_path, [0.5])
    monkeypatch.setattr(checkpoints_module.idist, "get_rank", lambda: 1)
    made.trainer.run()
    assert list(tmp_path.iterdir()) == []
    assert kept.best_metric == 0.5


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_disk_that_fills_up_leaves_the_former_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    path = tmp_path / "model.pt"
    save_aside({"weight": torch.ones(3)}, path)

    def half(content: object, file: BinaryIO) -> None:
        file.write(b"PK half")
        raise stop

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(type(stop)):
        save_aside({"weight": torch.zeros(3)}, path)
    assert load(path)["weight"].tolist() == [1, 1, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here, a disk that is always full")
def test_a_full_disk_is_told_by_the_system_and_not_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def on_full_disk(path: Path) -> Iterator[Path]:
        yield Path("/dev/full")

    monkeypatch.setattr("pipeline.tensor_files.written_aside", on_full_disk)
    with pytest.raises(OSError, match="No space left on device") as caught:
        save_aside({"weight": torch.zeros(3_000_000)}, Path("model.pt"))
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_fills_up_halfway_is_told_by_the_system_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits is written, and closing does not fail a second time: torch's own error is all that is raised then."""

    class Filling(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() > 10_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(Path, "open", lambda self, mode: Filling(self, mode))
    with pytest.raises(OSError, match="No space left on device"):
        save_aside({"weight": torch.zeros(3_000_000)}, tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EFBIG, errno.EDQUOT])
def test_what_the_system_says_of_weights_names_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Limited(io.FileIO):
        def write(self, data: Any) -> int:
            raise OSError(number, "no more")

    monkeypatch.setattr(Path, "open", lambda self, mode: Limited(self, mode))
    with pytest.raises(OSError, match="no more") as caught:
        save_aside({"weight": torch.zeros(3_000_000)}, tmp_path / "last.pt")
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "last.pt"))


def rates_of(
    folder: Path, epochs: int, *, resume: bool = False, rate: float = 0.1, halved: bool = False
) -> list[float]:
    """Learning rate of each epoch that is run, under a cosine over all the epochs or halved after every second."""
    network = nn.Conv2d(1, CLASSES, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    schedule: LRScheduler
    if halved:
        schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    else:
        schedule = WarmupCosineSchedule(optimizer, warmup_steps=1, t_total=epochs, warmup_multiplier=0.5)
    kept = Checkpoints(folder, {"network": network, "optimizer": optimizer, "lr_scheduler": schedule})
    loader = CheckpointLoader(str(folder / "last.pt"), kept.state, map_location="cpu")
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(Dataset(cases()), batch_size=4),
        network=network,
        optimizer=optimizer,
        loss_function=nn.CrossEntropyLoss(),
        train_handlers=[*[loader] * resume, LrScheduleHandler(schedule, print_lr=False), kept],
    )
    rates: list[float] = []
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda _: rates.append(optimizer.param_groups[0]["lr"]))
    trainer.run()
    return rates


def test_more_epochs_stretch_the_schedule_of_a_resumed_training(tmp_path: Path) -> None:
    whole = rates_of(tmp_path / "whole", 8)
    rates_of(tmp_path / "parts", 4)
    assert rates_of(tmp_path / "parts", 8, resume=True) == pytest.approx(whole[4:])
    assert whole[4] > whole[7] > 0


@pytest.mark.parametrize("halved", [False, True])
def test_a_resumed_training_may_have_another_learning_rate(tmp_path: Path, halved: bool) -> None:
    whole = rates_of(tmp_path / "whole", 6, halved=halved)
    rates_of(tmp_path / "parts", 3, halved=halved)
    resumed = rates_of(tmp_path / "parts", 6, resume=True, rate=0.01, halved=halved)
    assert resumed == pytest.approx([rate / 10 for rate in whole[3:]])


# --- patience ---


def patient(folder: Path, scores: list[float], epochs: int, **options: Any) -> tuple[int, Checkpoints]:
    """Train with patience; the epoch at which it ended."""
    made, kept = training(folder, scores, **options)
    Patience(kept, epochs).attach(made.validator)
    made.trainer.run()
    return made.trainer.state.epoch, kept


def test_a_training_ends_when_its_patience_is_spent(tmp_path: Path) -> None:
    ended, kept = patient(tmp_path, [0.1, 0.5, 0.4, 0.3, 0.2, 0.9], 3)
    assert (ended, kept.best_epoch) == (5, 2)
    assert (
        load(tmp_path / "last.pt")["trainer"]["iteration"] == 5 * load(tmp_path / "last.pt")["trainer"]["epoch_length"]
    )


def test_a_better_validation_gives_patience_anew(tmp_path: Path) -> None:
    assert patient(tmp_path, [0.1, 0.0, 0.2, 0.0, 0.3, 0.0], 2)[0] == 6


def test_a_resumed_training_goes_on_counting(tmp_path: Path) -> None:
    patient(tmp_path, [0.5, 0.4, 0.3], 5)
    ended, kept = patient(tmp_path, [0.2, 0.2, 0.2, 0.2], 5, resume=True, max_epochs=10)
    assert (ended, kept.best_epoch) == (6, 1)


def test_a_training_that_ended_by_patience_and_is_resumed_has_it_anew(tmp_path: Path) -> None:
    assert patient(tmp_path, [0.5, 0.4, 0.3, 0.2], 2, max_epochs=4)[0] == 3
    assert patient(tmp_path, [0.2, 0.2, 0.2], 2, resume=True, max_epochs=10)[0] == 5


def test_an_evaluator_alone_has_no_training_to_end(tmp_path: Path) -> None:
    made = Training(scores=[0.5])
    Patience(Checkpoints(tmp_path, {"network": made.network}), 1).attach(made.validator)
    made.validator.run()


# --- what a training is resumed with ---


def test_epochs_of_another_length_are_refused_rather_than_cut(tmp_path: Path) -> None:
    training(tmp_path, [0.5])[0].trainer.run()
    made, kept = training(tmp_path, [0.6], resume=True, max_epochs=2)
    kept._batches = 3  # as a larger datalist or a smaller batch would have it
    with pytest.raises(InvalidOption, match=r"its epochs have 2 batches, those of this datalist and batch_size have 3"):
        made.trainer.run()
    assert load(tmp_path / "last.pt")["trainer"]["iteration"] == 2


@pytest.mark.parametrize("batches", [1, 4])
def test_another_batch_size_keeps_whole_epochs_where_the_cases_are_the_same(tmp_path: Path, batches: int) -> None:
    training(tmp_path, [0.5, 0.4, 0.3])[0].trainer.run()  # epochs of two batches
    made, kept = training(tmp_path, [0.6, 0.7], resume=True, max_epochs=5)
    kept._batches, kept.same_cases = batches, True
    made.trainer.data_loader = DataLoader(Dataset(cases()), batch_size=4 // batches)
    seen: list[tuple[int, int]] = []
    made.trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: seen.append((engine.state.epoch, len(engine.state.batch)))
    )
    made.trainer.run()
    assert seen == [(epoch, 4 // batches) for epoch in (4, 5) for _ in range(batches)]
    last = load(tmp_path / "last.pt")["trainer"]
    assert (last["iteration"], last["epoch_length"]) == (5 * batches, batches)
    assert (kept.best_metric, kept.best_epoch) == (0.7, 5)


def test_half_precision_halves_the_file_and_loads_into_a_float32_network(tmp_path: Path) -> None:
    made, kept = training(tmp_path / "models", [0.3])
    kept.half = True
    made.trainer.run()
    stored = load(kept.best_path)
    assert {value.dtype for value in stored.values() if value.is_floating_point()} == {torch.float16}
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    CheckpointLoader(str(kept.best_path), {"model": made.network}, map_location="cpu")(made.trainer)
    after = made.network.state_dict()
    assert {value.dtype for value in after.values()} == {value.dtype for value in before.values()}
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-6, rtol=1e-3)
    assert {value.dtype for value in load(kept.last_path)["network"].values()} == {torch.float32}


def test_in_half_precision_the_weights_that_are_kept_are_those_that_were_validated(tmp_path: Path) -> None:
    made, kept = training(tmp_path / "models", [0.3])
    kept.half = True
    exact: list[dict[str, torch.Tensor]] = []
    validated: list[dict[str, torch.Tensor]] = []

    def note(into: list[dict[str, torch.Tensor]]) -> None:
        into.append({name: value.clone() for name, value in made.network.state_dict().items()})

    made.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: note(exact))
    made.validator.add_event_handler(Events.ITERATION_COMPLETED, lambda _: note(validated))
    made.trainer.run()
    stored = {name: value.float() for name, value in load(kept.best_path).items()}
    assert same(stored, validated[-1])
    assert not same(stored, exact[-1])
    assert same(made.network.state_dict(), exact[-1])  # training goes on with the exact ones
    assert same(load(kept.last_path)["network"], exact[-1])


def test_what_half_precision_cannot_hold_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    network[1].running_var.fill_(1e-9)
    nn.init.constant_(network[0].weight, 1e6)
    halved = in_half(network.state_dict())
    assert halved["0.weight"].dtype == halved["1.running_var"].dtype == torch.float32
    assert halved["0.bias"].dtype == halved["1.weight"].dtype == torch.float16
    assert halved["1.num_batches_tracked"].dtype == torch.int64


def test_a_tensor_with_two_names_is_halved_once() -> None:
    layer = nn.Linear(3, 3)
    shared = in_half({**layer.state_dict(prefix="a."), **layer.state_dict(prefix="b.")})
    assert shared["a.weight"].data_ptr() == shared["b.weight"].data_ptr()


def test_writing_takes_no_more_than_its_share_of_short_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here writing takes as long as many epochs do."""
    written: list[tuple[str, int]] = []
    made, kept = training(tmp_path, [0.5, *[0.1] * 30])

    def slow(content: Any, path: Path) -> None:
        time.sleep(0.2)
        written.append((path.name, int(made.trainer.state.epoch)))

    monkeypatch.setattr(checkpoints_module, "save_aside", slow)
    made.trainer.run()
    last = [epoch for name, epoch in written if name == "last.pt"]
    assert last[0] == 1  # the best so far
    assert last[-1] == 31  # and the end
    assert len(last) < 10
    assert kept.seconds >= 0.2 * len(written)


def test_a_better_validation_is_always_part_of_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a training that crashes and is resumed would replace weights that are better than it knows."""
    seen: list[float] = []
    made, kept = training(tmp_path, [0.1, 0.2, 0.15, 0.3, 0.1])
    save = checkpoints_module.save_aside

    def slow(content: Any, path: Path) -> None:
        time.sleep(0.1)
        save(content, path)

    monkeypatch.setattr(checkpoints_module, "save_aside", slow)
    made.trainer.add_event_handler(
        Events.EPOCH_COMPLETED, lambda _: seen.append(load(kept.last_path)["best"]["best_metric"] - kept.best_metric)
    )
    made.trainer.run()
    assert seen == [0.0] * 5
