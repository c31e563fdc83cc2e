from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from pipeline.tracking.journal import Journal


def test_what_is_appended_is_pending_until_it_is_sent_also_for_another_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r")
    first = journal.append("tags", values={"a": "1"})
    journal.append("metrics", values={"loss": float("nan")}, step=1, time=5, model=None, dataset=None)
    assert [operation["n"] for operation in Journal(tmp_path / "r").pending] == [first, first + 1]
    journal.mark_sent(journal.pending[:1])
    (left,) = Journal(tmp_path / "r").pending
    assert left["op"] == "metrics"
    assert left["values"]["loss"] != left["values"]["loss"]
    assert Journal(tmp_path / "r").append("tags", values={}) == first + 2


def test_a_file_is_kept_as_it_was_and_goes_when_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"epoch 1")
    journal = Journal(tmp_path / "r")
    journal.append("file", tmp_path / "model.pt", folder="checkpoints")
    (tmp_path / "model.pt").write_bytes(b"epoch 2")
    (operation,) = Journal(tmp_path / "r").pending
    copy = journal.source(operation)
    assert (copy.name, copy.read_bytes()) == ("model.pt", b"epoch 1")
    journal.mark_sent([operation])
    assert not copy.exists()


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_a_kill_has_torn_is_left_out_and_later_ones_are_not(cut: int, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r")
    journal.append("tags", values={"a": "1"})
    journal.append("tags", values={"b": "2"})
    file = tmp_path / "r" / "journal.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    again = Journal(tmp_path / "r")
    again.append("tags", values={"c": "3"})
    whole = ["a", "b", "c"] if cut == 1 else ["a", "c"]  # only the end of the line is missing
    assert [next(iter(op["values"])) for op in Journal(tmp_path / "r").pending] == whole
    assert len({op["n"] for op in Journal(tmp_path / "r").pending}) == len(whole)


def test_a_torn_number_is_not_taken_for_another(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r")
    for number in range(12):
        journal.append("tags", values={"n": str(number)})
    journal.mark_sent(journal.pending[2:])
    sent = tmp_path / "r" / "sent"
    sent.write_bytes(sent.read_bytes()[:-2])  # "12." is now "1"
    assert [operation["n"] for operation in Journal(tmp_path / "r").pending] == [1, 2, 12]


def test_what_is_refused_is_kept_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x")
    journal = Journal(tmp_path / "r")
    journal.append("file", tmp_path / "t.csv", folder="")
    (operation,) = journal.pending
    journal.mark_refused(operation, "no such run")
    assert journal.pending == []
    assert [one["reason"] for one in Journal(tmp_path / "r").refused] == ["no such run"]
    assert journal.source(operation).read_text() == "x"


def test_with_a_full_disk_operations_are_still_sent_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "r")
    journal.append("tags", values={"a": "1"})
    (tmp_path / "t.csv").write_text("x")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", full)
        patch.setattr("shutil.copyfile", full)
        journal.append("tags", values={"b": "2"})
        journal.append("file", tmp_path / "t.csv", folder="")
    journal.append("tags", values={"c": "3"})
    assert [operation["op"] for operation in journal.pending] == ["tags", "tags", "file", "tags"]
    assert journal.source(journal.pending[2]).read_text() == "x"
    assert journal.trouble is not None
    assert "No space left" in journal.trouble
    assert len(caplog.records) == 1
    assert [next(iter(op["values"])) for op in Journal(tmp_path / "r").pending] == ["a", "c"]


def test_lines_are_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r")
    journal.append("tags", values={"class": "lung\nfield"})
    (line,) = (tmp_path / "r" / "journal.jsonl").read_text().splitlines()
    assert json.loads(line) == {"n": 1, "op": "tags", "values": {"class": "lung\nfield"}}
