"""`planar calibrate` on the command line: what does not go together is told before any work."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.bundle import Bundle
from pipeline.cli import main
from pipeline.cli.calibrate import _tell_fit
from pipeline.tasks.calibrate import CalibrationResult


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", *arguments])
    told = capsys.readouterr()
    return int(caught.value.code or 0), told.out + told.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--check", "--risk", "0.1"], "--risk is for fitting"),
        (["--check", "--variants", "3"], "--variants is for fitting"),
        (["-o", "gate.csv"], "-o is for --check"),
        (["--risk", "2"], "Invalid value for '--risk'"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = said(["cxr_lung_segmentation", "--data", "datalist.json", *options], capsys)
    assert status != 0
    assert message in told


def test_a_bundle_without_a_gate_cannot_be_checked(
    random_bundle: Bundle, phantom_datalist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = said([str(random_bundle.root), "--data", str(phantom_datalist), "--check"], capsys)
    assert status == 1
    assert "the bundle has no gate. Fit it: planar calibrate" in told


def test_a_bundle_is_calibrated_and_checked_from_the_command_line(
    random_bundle: Bundle, phantom_datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(random_bundle.root), "--data", str(phantom_datalist)]
    status, told = said([*arguments, "--variants", "1"], capsys)
    assert status == 0
    assert f"Gate: {random_bundle.root / 'models' / 'gate.json'}" in told
    status, told = said([*arguments, "--check", "-o", str(tmp_path / "gate.csv")], capsys)
    assert status == 0
    assert "accepted" in told
    assert "AURC" in told
    assert (tmp_path / "gate.csv").is_file()


@pytest.mark.parametrize(("held_out", "words"), [(True, "(held out)"), (False, "(on the masks it was fitted to)")])
def test_what_the_figures_are_of_is_told(held_out: bool, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"mean_absolute_error": 0.1, "accepted_as_they_are": 0.5}
    record = {
        "fitted_on": {"predictions": 9, "made_worse": 6, "images": 3, "subjects": 1, "compared_with": {"images": 9}},
        "aim": {"risk": 0.05, "minimum_dice": 0.8},
        **({"held_out": figures} if held_out else {"held_out": None, "in_sample": figures}),
    }
    gate: Any = SimpleNamespace(record=record, dice_limit=0.8, distance_limit=1.2)
    _tell_fit(CalibrationResult(Path("gate.json"), gate, (), 1.0))
    told = capsys.readouterr().out
    assert f"off by 0.100 on average {words}" in told
    assert "50% of the pictures as they are" in told
    gate.dice_limit = 1.01
    _tell_fit(CalibrationResult(Path("gate.json"), gate, (), 1.0))
    told = capsys.readouterr().out
    assert "Accepts nothing" in told and "1.01" not in told
