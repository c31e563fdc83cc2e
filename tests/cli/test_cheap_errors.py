"""What is wrong with a command's words is told before libraries are loaded that take seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.progress import progress_bar, stage_bars

ROOT = Path(__file__).parents[2]
SHIPPED = "cxr_lung_segmentation"
# What is typed, and how the one line begins.
WRONG = (
    (("train", "nowhere", "--data", "d.json"), "Error: There is no bundle 'nowhere'."),
    (("train", SHIPPED, "--data", "nowhere.json"), "Error: nowhere.json: no such datalist."),
    (("train", SHIPPED, "--data", "d.json", "--recipe", "nowhere"), "Error: There is no recipe 'nowhere'"),
    (("train", SHIPPED, "--data", "d.json", "max_epoch=3"), "Error: 'max_epoch' is no key of train.yaml."),
    (("train", "nowhere", "--data", "d.json", "--folds", "3"), "Error: There is no bundle 'nowhere'."),
    (("evaluate", "nowhere", "--data", "d.json"), "Error: There is no bundle 'nowhere'."),
    (("evaluate", SHIPPED, "--data", "nowhere.json"), "Error: nowhere.json: no such datalist."),
    (("infer", "nowhere", "a.png"), "Error: There is no bundle 'nowhere'."),
    (("infer", SHIPPED, "nowhere.png"), "Error: nowhere.png: no such file or folder."),
    (("calibrate", "nowhere", "--data", "d.json"), "Error: There is no bundle 'nowhere'."),
    (("find-best", "nowhere", "-o", "best"), "Error: nowhere/folds.json is not there;"),
    (("plan", "nowhere.json", "--task", "cxr_lung", "-o", "b"), "Error: nowhere.json is not there;"),
    (("audit", "verify", "nowhere.zip"), "Error: nowhere.zip is not there;"),
)
CODE = """
import sys
from pipeline.cli import main
for words in {words!r}:
    try:
        main(list(words))
    except SystemExit as stop:
        assert stop.code == 1, words
    print("HEAVY", sorted({{"torch", "monai", "mlflow", "ignite"}} & set(sys.modules)), file=sys.stderr)
"""


def test_wrong_words_are_one_line_and_load_nothing(tmp_path: Path) -> None:
    code = CODE.format(words=[words for words, _ in WRONG])
    command = [sys.executable, "-c", code]
    settings = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=settings, check=False)
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(WRONG), done.stderr
    for (words, told), line, heavy in zip(WRONG, lines[::2], lines[1::2], strict=True):
        assert line.startswith(told), words
        assert heavy == "HEAVY []", words
    assert done.stdout == ""


def test_a_bar_that_cannot_be_drawn_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    never = progress_bar("files")
    never.stop()
    with progress_bar("files") as bar:
        bar.update(bar.add_task("Reading", total=2), completed=2)
    with stage_bars("files") as show:
        show("Reading", 1, 2)
        show("Checking", 2, 2)
    assert capsys.readouterr() == ("", "")
