"""`planar plan` from the command line."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline.cli.main import main
from pipeline.cli.plan import command

ROOT = Path(__file__).parent.parent.parent
TASK = ROOT / "configs" / "tasks" / "cxr_lung.yaml"
MACHINE = ["--device", "cpu", "--cores", "2", "--memory", "8"]


def plan(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_datalist_becomes_the_same_bundle_twice_with_reasons(phantom_datalist: Path, tmp_path: Path) -> None:
    outs = [tmp_path / part / "films_segmentation" for part in ("a", "b")]
    for out in outs:
        out.parent.mkdir()
        result = plan(phantom_datalist, "--task", TASK, "-o", out, "--budget", "2min", "--workers", "1", *MACHINE)
        assert result.exit_code == 0, result.output
    assert digest(outs[0]) == digest(outs[1])
    assert "whole picture" in result.output
    assert "(budget 2 min)" in result.output
    assert "training cases are few" in result.output
    train = yaml.safe_load((outs[0] / "configs" / "train.yaml").read_text())
    assert train["labels"] == {0: "background", 1: "lung"}


def test_a_file_that_cannot_be_read_is_named_and_ends_with_status_1(phantom_datalist: Path, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    shutil.copytree(phantom_datalist.parent, folder)
    item = json.loads(phantom_datalist.read_text())["training"][0]["image"]
    (folder / item).write_bytes(b"cut short")
    out = tmp_path / "films_segmentation"
    result = CliRunner().invoke(
        command,
        [str(folder / "datalist.json"), "--task", str(TASK), "-o", str(out), "--workers", "1", *MACHINE],
        standalone_mode=False,
    )
    assert result.return_value == 1
    name = Path(item).name
    assert f"Left out: {name}: " in result.stderr
    assert f"Note: 1 file could not be read, and the bundle was planned without: {name}." in result.stdout
    assert (out / "configs" / "train.yaml").is_file()


@pytest.mark.slow
def test_a_planned_bundle_trains_evaluates_and_infers(phantom_datalist: Path, tmp_path: Path) -> None:
    from pipeline.tasks.evaluate import evaluate
    from pipeline.tasks.infer import infer
    from pipeline.tasks.train import train

    bundle = tmp_path / "films_segmentation"
    plan(phantom_datalist, "--task", TASK, "-o", bundle, "--budget", "2min", "--workers", "1", *MACHINE)
    settings = ["max_epochs=1", "val_interval=1", "num_workers=0", "repeats=1"]
    trained = train(str(bundle), phantom_datalist, tmp_path / "trained", settings, tracking=False).bundle
    scores = evaluate(str(trained.root), phantom_datalist, "test", tmp_path / "scores", tracking=False)
    assert scores.cases > 0
    films = phantom_datalist.parent / "phantom" / "images"
    assert infer(str(trained.root), [str(films)], tmp_path / "masks").segmented == 16


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere.json", "is not there; expected a datalist.json or a fingerprint.json"),
        (".", "is a folder"),
        ("broken.json", "is not valid JSON"),
        ("list.json", "is no datalist"),
        ("later.json", "later.json has the format 'planar-fingerprint/9'; expected 'planar-fingerprint/1'"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(
    data: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text("{")
    Path("list.json").write_text("{}")
    Path("later.json").write_text('{"format": "planar-fingerprint/9"}')
    with pytest.raises(SystemExit) as stopped:
        main(["plan", data, "--task", str(TASK), "-o", "out_segmentation", *MACHINE])
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out_segmentation").exists()
