from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.commands import PeerError, commands_in, run_logged


def test_the_log_holds_the_command_and_what_it_said(tmp_path: Path) -> None:
    seconds = run_logged([sys.executable, "-c", "print('trained')"], tmp_path / "logs" / "train.log")
    assert (tmp_path / "logs" / "train.log").read_text().splitlines() == [
        f"$ {sys.executable} -c 'print('\"'\"'trained'\"'\"')'",
        "trained",
    ]
    assert 0 < seconds < 60


def test_a_failure_tells_the_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no memory'); sys.exit(3)"]
    with pytest.raises(PeerError, match=r"status 3; see .*train\.log.*no memory"):
        run_logged(command, tmp_path / "train.log")


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="cannot be run"):
        run_logged([tmp_path / "nothing"], tmp_path / "log")


def test_no_peer_inherits_a_limit_on_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    code = "import os; print(os.environ.get('OMP_NUM_THREADS'), os.environ['SOMETHING_ELSE'], os.environ['ADDED'])"
    run_logged([sys.executable, "-c", code], tmp_path / "log", {"ADDED": "here"})
    assert (tmp_path / "log").read_text().splitlines()[-1] == "None kept here"


def test_commands_are_shown_without_the_paths_of_this_machine(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    run_logged([sys.executable, "-c", "pass", str(out / "data"), str(tmp_path)], tmp_path / "logs" / "train.log")
    names = {str(tmp_path): "HERE", str(out): "OUT", sys.executable: "python"}
    assert commands_in(tmp_path / "logs", names) == {"train": "python -c pass OUT/data HERE"}
