"""Masks in bfloat16 beside those in float32, of weights that are trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import networks
from pipeline.bundle import find_bundle
from pipeline.tasks.infer.predictor import Predictor


def test_masks_in_bfloat16_are_those_in_float32(phantom_datalist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = find_bundle("cxr_lung_segmentation")
    cases = json.loads(phantom_datalist.read_text(encoding="utf-8"))["training"][:4]
    films = [str(phantom_datalist.parent / case["image"]) for case in cases]
    masks, answers = {}, {}
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(networks, "best_dtype", lambda device, dtype=dtype: dtype)
        found = list(Predictor(bundle, (bundle.weights,), {})(films, probabilities=True))
        masks[dtype] = np.concatenate([one.mask.ravel() for one in found])
        answers[dtype] = np.concatenate([one.probabilities.ravel() for one in found if one.probabilities is not None])
    exact, rounded = masks[torch.float32] == 1, masks[torch.bfloat16] == 1
    assert exact.mean() > 0.1
    assert 2 * (exact & rounded).sum() / (exact.sum() + rounded.sum()) >= 0.999
    assert not np.array_equal(answers[torch.float32], answers[torch.bfloat16])  # it was computed in both


def test_a_bundle_may_ask_for_float32(phantom_datalist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = find_bundle("cxr_lung_segmentation")
    case = json.loads(phantom_datalist.read_text(encoding="utf-8"))["training"][0]
    film = str(phantom_datalist.parent / case["image"])
    answers = []
    for dtype, settings in ((torch.float32, {}), (torch.bfloat16, {"autocast": False})):
        monkeypatch.setattr(networks, "best_dtype", lambda device, dtype=dtype: dtype)
        (found,) = Predictor(bundle, (bundle.weights,), settings)([film], probabilities=True)
        answers.append(found.probabilities)
    assert np.array_equal(*answers)
