"""Devices that are not there, told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.bundle import Bundle
from pipeline.errors import InvalidOption
from pipeline.tasks.device import require_device
from pipeline.tasks.infer.predictor import Predictor
from pipeline.tasks.workflow import open_workflow


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize("device", ["gpu", "", None, "cuda:x", [0]])
def test_what_is_no_device_is_told(device: object) -> None:
    with pytest.raises(InvalidOption, match="is no device that PyTorch knows"):
        require_device(device)


@pytest.mark.parametrize(
    ("device", "count", "finds"),
    [
        ("cuda", 0, "no GPU"),
        ("cuda:0", 0, "no GPU"),
        ("cuda:1", 1, "one GPU, cuda:0"),
        ("cuda:2", 2, "cuda:0 to cuda:1"),
    ],
)
def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, device: str, count: int, finds: str) -> None:
    gpus(monkeypatch, count)
    with pytest.raises(InvalidOption, match=f"^device={device}: PyTorch finds {finds} here"):
        require_device(device)


def test_another_kind_of_device_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise AssertionError("Torch not compiled with XPU enabled")

    monkeypatch.setattr(torch, "empty", missing)
    with pytest.raises(InvalidOption, match=r"^device=xpu: PyTorch finds none here"):
        require_device("xpu")


def test_what_is_there_and_what_monai_evaluates_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("cpu", torch.device("cpu"), "$torch.device('cuda')", "@other"):
        require_device(device)
    gpus(monkeypatch, 2)
    for device in ("cuda", "cuda:1"):
        require_device(device)


def test_workflows_and_predictors_ask_before_they_load(random_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 0)
    with pytest.raises(InvalidOption, match="finds no GPU here"):
        open_workflow(random_bundle, "evaluate", {"device": "cuda"})
    with pytest.raises(InvalidOption, match="finds no GPU here"):
        Predictor(random_bundle, [Path("none.pt")], {"device": "cuda"})
