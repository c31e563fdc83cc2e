"""Weights to begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import InvalidBundle
from pipeline.networks import FoldEnsemble, UNetWithHead
from pipeline.starting import begin_with, seed_of


def network(classes: int = 2, channels: tuple[int, ...] = (4, 8), seed: int = 0) -> UNetWithHead:
    torch.manual_seed(seed)
    return UNetWithHead(spatial_dims=2, in_channels=1, out_channels=classes, channels=channels, strides=(2,))


def saved(folder: Path, net: nn.Module) -> Path:
    torch.save(net.state_dict(), folder / "model.pt")
    return folder / "model.pt"


def same(first: nn.Module, second: nn.Module) -> list[str]:
    other = second.state_dict()
    return [name for name, value in first.state_dict().items() if torch.equal(value, other[name])]


def test_all_weights_of_the_same_network_are_taken(tmp_path: Path) -> None:
    taught, new = network(seed=1), network(seed=2)

    assert begin_with(new, saved(tmp_path, taught)) == []
    assert same(new, taught) == list(taught.state_dict())


def test_a_network_for_other_classes_takes_all_but_its_last_layer(tmp_path: Path) -> None:
    taught, new = network(2, seed=1), network(4, seed=2)

    left = begin_with(new, saved(tmp_path, taught))

    assert left == ["head.weight", "head.bias"]
    assert same(new.model, taught.model) == list(taught.model.state_dict())


def test_of_an_ensemble_the_first_member_is_taken(tmp_path: Path) -> None:
    taught, new = network(seed=1), network(seed=2)

    assert begin_with(new, saved(tmp_path, FoldEnsemble(taught, 2))) == []
    assert same(new, taught) == list(taught.state_dict())


def test_half_precision_is_taken_into_full(tmp_path: Path) -> None:
    new = network(seed=2)

    assert begin_with(new, saved(tmp_path, network(seed=1).half())) == []
    assert {value.dtype for value in new.state_dict().values()} == {torch.float32}


def test_weights_of_another_network_are_refused_and_change_nothing(tmp_path: Path) -> None:
    new, untouched = network(seed=2), network(seed=2)

    with pytest.raises(InvalidBundle, match="weights of another network"):
        begin_with(new, saved(tmp_path, network(channels=(6, 12), seed=1)))
    assert same(new, untouched) == list(new.state_dict())


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_file_that_is_no_weights_is_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)

    with pytest.raises(InvalidBundle, match=r"model\.pt: no weights of a network") as told:
        begin_with(network(), tmp_path / "model.pt")
    assert "\n" not in str(told.value)


def test_a_whole_training_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"network": network(seed=1).state_dict(), "best": {}}, tmp_path / "last.pt")
    with pytest.raises(
        InvalidBundle, match=r"last\.pt: no weights of a network: it holds network, best, and no tensors"
    ):
        begin_with(network(), tmp_path / "last.pt")


def test_a_training_that_goes_on_draws_anew_and_the_same_each_time(tmp_path: Path) -> None:
    assert seed_of(7, tmp_path, False) == seed_of(7, tmp_path, True) == 7
    (tmp_path / "history.csv").write_text("epoch,train_loss\n1,0.5\n2,0.4\n3,0.3\n")
    assert seed_of(7, tmp_path, False) == 7
    assert seed_of(7, tmp_path, True) == seed_of(7, tmp_path, True) == 10
