from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.stages import Stages


class Work:
    def __init__(self) -> None:
        self.done: list[str] = []

    def of(self, name: str):
        def work() -> dict[str, str]:
            self.done.append(name)
            return {"made": name}

        return work


def run(folder: Path, work: Work, first: int = 1, second: int = 1) -> dict[str, str]:
    stages = Stages(folder)
    stages.do("first", {"setting": first}, work.of("first"))
    stages.do("aside", {}, work.of("aside"))
    return stages.do("second", {"setting": second}, work.of("second"), after=["first"])


def test_a_stage_is_done_once(tmp_path: Path) -> None:
    work = Work()
    assert run(tmp_path, work) == run(tmp_path, work) == {"made": "second"}
    assert work.done == ["first", "aside", "second"]


def test_other_settings_do_a_stage_and_those_after_it_again(tmp_path: Path) -> None:
    work = Work()
    run(tmp_path, work)
    run(tmp_path, work, first=2)
    assert work.done == ["first", "aside", "second", "first", "second"]
    run(tmp_path, work, first=2, second=2)
    assert work.done[5:] == ["second"]


def test_a_stage_is_done_again_if_one_before_it_was_done_after_it(tmp_path: Path) -> None:
    work = Work()
    run(tmp_path, work)
    record = json.loads((tmp_path / "first.json").read_text())
    (tmp_path / "first.json").write_text(json.dumps(record | {"began": "2999-01-01T00:00:00Z"}))
    run(tmp_path, work)
    assert work.done[3:] == ["second"]


def test_a_stage_that_failed_is_done_again(tmp_path: Path) -> None:
    def fails() -> dict[str, str]:
        raise RuntimeError("stopped")

    work = Work()
    stages = Stages(tmp_path)
    stages.do("train", {}, work.of("train"))
    with pytest.raises(RuntimeError, match="stopped"):
        stages.do("train", {"other": 1}, fails)
    assert not (tmp_path / "train.json").exists()
    Stages(tmp_path).do("train", {"other": 1}, work.of("train"))
    assert work.done == ["train", "train"]


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    work = Work()
    run(tmp_path, work)
    (tmp_path / "second.json").write_text('{"key": "')
    run(tmp_path, work)
    assert work.done == ["first", "aside", "second", "second"]


def test_a_record_says_how_long_it_took_and_how_busy_the_machine_was(tmp_path: Path) -> None:
    run(tmp_path, Work())
    record = json.loads((tmp_path / "first.json").read_text())
    assert record["seconds"] >= 0
    assert record["load_before"] is None or record["load_before"] >= 0
    assert record["result"] == {"made": "first"}
