"""`planar calibrate` on the command line: what does not go together is told before any work."""

from pathlib import Path

import pytest

from pipeline.bundle import Bundle
from pipeline.cli import main


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
