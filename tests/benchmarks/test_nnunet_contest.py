from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.cases import cases_of, save_mask
from benchmarks.nnunet import contest
from benchmarks.nnunet.__main__ import command
from benchmarks.nnunet.contest import ContestOptions, run_contest
from benchmarks.nnunet.environment import find_python
from pipeline.errors import InvalidOption, MissingExtra, MissingFile

PLAN = {"patch_size": [96, 96], "batch_size": 2, "spacing": [1, 1], "normalisation": ["ZScore"], "stages": 5}


class Peers:
    """Both peers without their work: masks that are wrong by a known stripe."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, data: Path, *, needed: bool = True) -> None:
        self.done: list[str] = []
        self.data = data
        fit = {
            "needed": needed,
            "precision": "bfloat16",
            "why": "too slow",
            "seconds": 3.0,
            "seconds_preprocessing": 1.0,
        }
        for owner, name, result in (
            (contest.NnunetContestant, "prepare", {"seconds": 9.0, "plan": PLAN}),
            (contest.NnunetContestant, "fit", fit | {"plan": PLAN}),
            (contest.PlanarContestant, "measure", {"epochs": 12, "measured_epochs": 4, "seconds_an_epoch": 2.0}),
        ):
            monkeypatch.setattr(owner, name, self.stub(name, result))
        trained = {"seconds": 42.0, "steps": 7, "parameters": 1_500_000, "batch_size": 2}
        monkeypatch.setattr(contest.PlanarContestant, "train", self.stub("train planar", trained))
        monkeypatch.setattr(contest.NnunetContestant, "train", self.stub("train nnunet", trained))
        monkeypatch.setattr(contest.PlanarContestant, "predict", self.predict_planar)
        monkeypatch.setattr(contest.NnunetContestant, "predict", self.predict_nnunet)
        monkeypatch.setattr(contest, "has_cuda", lambda python: False)
        monkeypatch.setattr(contest, "versions_of", lambda python, packages: dict.fromkeys(packages, "1.0"))

    def stub(self, name: str, result: dict[str, Any]):
        def work(peer: Any, *given: Any) -> dict[str, Any]:
            self.done.append(" ".join([name, *(str(word) for word in given if "Plans" in str(word))]))
            return result

        return work

    def predict_planar(self, masks: Path, *, tta: bool) -> dict[str, Any]:
        return self.predict(masks, wrong=1)

    def predict_nnunet(self, plans: str, precision: str, cases: Any, masks: Path, *, tta: bool) -> dict[str, Any]:
        return self.predict(masks, wrong=3)

    def predict(self, masks: Path, wrong: int) -> dict[str, Any]:
        self.done.append(f"predict {masks.name}")
        for case in cases_of(self.data, ["test"]):
            mask = case.reference().copy()
            mask[: 8 * wrong] = 0
            save_mask(mask, case, masks)
        return {"seconds": 6.0}


def options(data: Path, out: Path, **more: Any) -> ContestOptions:
    python = Path(sys.executable)
    return ContestOptions(data, 0.5, out, python, bundle="cxr_lung_segmentation", **more)


def test_peers_train_in_the_order_that_was_asked_for(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = Peers(monkeypatch, phantom_datalist)
    run_contest(options(phantom_datalist, tmp_path / "a"))
    trained = ["train planar", "train nnunet nnUNetPlans", "train nnunet nnUNetPlansFitted"]
    assert [name for name in peers.done if "train" in name] == trained
    peers.done.clear()
    run_contest(options(phantom_datalist, tmp_path / "b", first="nnunet", own_plan=False))
    assert [name for name in peers.done if "train" in name] == [trained[2], trained[0]]


def test_a_plan_that_fits_is_trained_alone(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = Peers(monkeypatch, phantom_datalist, needed=False)
    run_contest(options(phantom_datalist, tmp_path, own_plan=False))
    assert [name for name in peers.done if "train" in name] == ["train planar", "train nnunet nnUNetPlans"]


def test_what_is_done_is_not_done_again(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = Peers(monkeypatch, phantom_datalist)
    first = run_contest(options(phantom_datalist, tmp_path)).read_text()
    before = list(peers.done)
    assert run_contest(options(phantom_datalist, tmp_path)).read_text() == first
    assert peers.done == before
    (tmp_path / "stages" / "planar_train.json").unlink()
    run_contest(options(phantom_datalist, tmp_path))
    again = peers.done[len(before) :]
    assert again[0] == "train planar" and all(name.startswith("predict planar") for name in again[1:])
    assert len(again) == 3


def test_the_table_says_who_was_better_and_by_how_much(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Peers(monkeypatch, phantom_datalist)
    page = run_contest(options(phantom_datalist, tmp_path)).read_text()
    table = json.loads((tmp_path / "table.json").read_text())
    assert [row["name"] for row in table["rows"]] == [
        "planar",
        "nnunet",
        "nnunet_fitted",
        "planar_no_tta",
        "nnunet_no_tta",
        "nnunet_fitted_no_tta",
    ]
    means = {row["name"]: row["summary"]["lung"]["per_subject"]["dice"]["mean"] for row in table["rows"]}
    assert means["planar"] > means["nnunet"] == means["nnunet_fitted"]
    pairs = [(pair["first"], pair["second"], pair["metric"]) for pair in table["differences"]]
    assert pairs == [
        (f"planar{end}", f"{other}{end}", metric)
        for end in ("", "_no_tta")
        for other in ("nnunet", "nnunet_fitted")
        for metric in ("dice", "hd95")
    ]
    dice = table["differences"][0]
    assert dice["mean"] == pytest.approx(means["planar"] - means["nnunet"], abs=1e-4)
    assert dice["wins"] == dice["n"] == 3
    assert f"| Planar | {means['planar']:.4f} (" in page
    assert "| Planar | 42 | 7 | 2 | 14 | 1.50 | 2.00 |" in page
    assert "11 training, 2 validation and 3 test cases" in page
    assert np.isfinite(dice["ci_low"])
    assert str(tmp_path) not in page + (tmp_path / "table.json").read_text()


def test_a_gpu_for_one_peer_alone_is_refused(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Peers(monkeypatch, phantom_datalist)
    monkeypatch.setattr(contest, "has_cuda", lambda python: python == sys.executable)
    other = ContestOptions(phantom_datalist, 1, tmp_path, Path("/nowhere/python"), bundle="cxr_lung_segmentation")
    with pytest.raises(InvalidOption, match="/nowhere/python does not see the GPU"):
        run_contest(other)


def test_a_bundle_or_a_task_must_be_given(phantom_datalist: Path, tmp_path: Path) -> None:
    neither = ContestOptions(phantom_datalist, 1, tmp_path, Path(sys.executable))
    with pytest.raises(InvalidOption, match="either --bundle"):
        run_contest(neither)


def test_a_python_without_nnunet_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNUNET_PYTHON", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="--nnunet-python"):
        find_python(None)
    (tmp_path / "python").touch()
    with pytest.raises(MissingFile, match="nnUNetv2_train is not there"):
        find_python(tmp_path / "python")


def test_help_says_what_is_compared() -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    for word in ("--data", "--minutes", "--bundle", "--task", "--nnunet-python", "--first", "table.md"):
        assert word in result.output
