"""A candidate takes the model's place when it is better, and not otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.bundle import Bundle
from pipeline.digests import file_sha256
from pipeline.label_app.promotion import promote, record


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    for folder in ("configs", "models"):
        (tmp_path / "b" / folder).mkdir(parents=True)
    (tmp_path / "b" / "configs" / "metadata.json").write_text(
        json.dumps({"version": "0.1.9", "changelog": {"0.1.9": "before"}, "eval_metrics": {"mean_dice": 0.9}})
    )
    (tmp_path / "b" / "models" / "model.pt").write_bytes(b"old weights")
    (tmp_path / "candidate.pt").write_bytes(b"new weights")
    return Bundle(tmp_path / "b", "b")


def metadata(bundle: Bundle) -> dict:
    return json.loads(bundle.metadata.read_text())


@pytest.mark.parametrize("dice", [0.89, 0.9])
def test_a_candidate_that_is_no_better_changes_nothing(bundle: Bundle, tmp_path: Path, dice: float) -> None:
    before = metadata(bundle)
    decision = promote(bundle, tmp_path / "candidate.pt", dice=dice, dice_before=0.9, cases=4, run_id="r")
    assert not decision.taken
    assert bundle.weights.read_bytes() == b"old weights"
    assert metadata(bundle) == before
    assert record(bundle) == [decision]


def test_a_better_one_is_taken_and_the_former_is_kept_with_its_version(bundle: Bundle, tmp_path: Path) -> None:
    old = file_sha256(bundle.weights)
    decision = promote(bundle, tmp_path / "candidate.pt", dice=0.95, dice_before=0.9, cases=4, run_id="r")
    assert decision.taken and decision.version == "0.1.10"
    assert bundle.weights.read_bytes() == b"new weights"
    former = bundle.root / "models" / "former" / f"model-0.1.9-{old[:12]}.pt"
    assert former.read_bytes() == b"old weights"
    told = metadata(bundle)
    assert told["version"] == "0.1.10"
    assert list(told["changelog"]) == ["0.1.10", "0.1.9"]
    assert "eval_metrics" not in told  # those were the former weights'


def test_the_first_weights_are_taken(bundle: Bundle, tmp_path: Path) -> None:
    bundle.weights.unlink()
    decision = promote(bundle, tmp_path / "candidate.pt", dice=0.1, dice_before=None, cases=4, run_id=None)
    assert decision.taken
    assert bundle.weights.read_bytes() == b"new weights"
    assert not (bundle.root / "models" / "former").exists()
