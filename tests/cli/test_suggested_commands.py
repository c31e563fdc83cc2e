"""The commands that are suggested, typed as they stand, where folders have spaces in their names."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.cli import main
from pipeline.cli.trained import say_training
from pipeline.cli.where import mlflow_hint
from pipeline.datalist import load_cases
from pipeline.errors import MissingFile


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(arguments)
    told = capsys.readouterr()
    return told.out + told.err


def words_after(start: str, told: str) -> list[str]:
    """The words of the command behind the start of a line, without the remark in brackets behind it."""
    line = next(line for line in told.splitlines() if start in line)
    return shlex.split(line.split(start, 1)[1].split("  (")[0])


def test_index_inspect_and_plan_name_files_that_may_be_typed(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(phantom_datalist.parent / "phantom", tmp_path / "my films")
    monkeypatch.chdir(tmp_path)
    indexed = said(
        ["index", "my films/images", "my films/masks", "--class-names", "lung", "-o", "my films/datalist.json"], capsys
    )
    next_command = words_after("Next: planar ", indexed)
    assert next_command == ["inspect", "my films/datalist.json", "-o", "my films/fingerprint.json"]
    assert words_after("Or:   planar ", indexed) == ["train", "BUNDLE", "--data", "my films/datalist.json"]
    planned = words_after("Next: planar ", said([*next_command, "--workers", "1"], capsys))
    assert planned[:4] == ["plan", "my films/fingerprint.json", "--task", "TASK"]
    trained = words_after(
        "Next:    planar ",
        said(["plan", "my films/datalist.json", "--task", "cxr_lung", "--budget", "1min", "-o", "my bundle"], capsys),
    )
    assert trained == ["train", "my bundle", "--data", "my films/datalist.json"]
    assert (Path(trained[1]) / "configs" / "train.yaml").is_file()


def test_a_training_names_the_evaluation_of_its_folder(
    phantom_datalist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    datalist = Path("my films/datalist.json")
    datalist.parent.mkdir()
    shutil.copyfile(phantom_datalist, datalist)
    result = SimpleNamespace(
        bundle=SimpleNamespace(root=tmp_path / "my lungs"),
        epochs=1,
        epochs_before=0,
        seconds=1.0,
        best_epoch=1,
        best_metric=0.9,
        keeps_last=False,
        run_id=None,
    )
    say_training(cast(Any, result), datalist, None, False)
    given = words_after("Next:    planar ", capsys.readouterr().out)
    assert given == ["evaluate", "my lungs", "--data", "my films/datalist.json", "--split", "test"]


def test_folders_of_masks_are_suggested_as_one_list_of_names(
    phantom_datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, masks = (str(phantom_datalist.parent / "phantom" / name) for name in ("images", "masks"))
    folders = [str(shutil.copytree(masks, tmp_path / name)) for name in ("left lung", "right lung")]
    told = said(["index", images, *folders, "-o", str(tmp_path / "d.json")], capsys)
    assert words_after("e.g. --class-names ", told) == ["left lung,right lung."]


def test_a_missing_datalist_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingFile) as refused:
        load_cases(tmp_path / "my films.json", "training")
    assert words_after("planar index ", str(refused.value))[-1] == str(tmp_path / "my films.json")


def test_the_store_of_the_runs_is_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"sqlite:///{tmp_path}/my runs/mlruns.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    given = words_after("mlflow server ", mlflow_hint().split(", then")[0])
    assert given == ["--backend-store-uri", store, "--port", "5000"]
