"""Cores are those that the system leaves a process, threads those that somebody asked for."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from pipeline import control_groups, memory
from pipeline.control_groups import cores_left
from pipeline.cores import asked_threads, compute_threads, usable_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups, in which this process is in a/b; it may run on eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(control_groups, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(control_groups, "OWN_GROUP", tmp_path / "own")
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/a/b\n")
    return tmp_path / "groups"


def test_without_limits_all_cores_may_be_used(groups: Path) -> None:
    (groups / "a" / "b" / "cpu.max").write_text("max 100000\n")
    assert usable_cores() == compute_threads() == 8
    assert compute_threads(workers=3) == 5
    assert compute_threads(workers=20) == 1


@pytest.mark.parametrize(("quota", "expected"), [("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1)])
@pytest.mark.parametrize("group", ["", "a", "a/b"])
def test_a_limit_of_any_group_round_the_process_holds(groups: Path, group: str, quota: str, expected: int) -> None:
    (groups / "a" / "b" / "cpu.max").write_text("700000 100000\n")
    (groups / group / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores() == expected


def test_a_limit_of_the_first_version_of_groups_holds(groups: Path) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (groups / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores() == 3
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cores() == 8


@pytest.mark.parametrize("own", [None, "", "1:name=systemd:/x\n", "0::/gone\n"])
def test_what_cannot_be_read_is_no_limit(groups: Path, own: str | None) -> None:
    control_groups.OWN_GROUP.unlink() if own is None else control_groups.OWN_GROUP.write_text(own)
    (groups / "cpu.max").write_text("rubbish\n")
    assert usable_cores() == 8
    assert cores_left() == math.inf


@pytest.mark.parametrize(("said", "expected"), [("3", 3), ("3,1", 3), ("0", 1), ("", None), ("many", None)])
def test_threads_that_somebody_asked_for_have_the_last_word(
    groups: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert asked_threads() == expected
    assert compute_threads() == (expected or 8)
    assert compute_threads(workers=2) == max(1, (expected or 8) - 2)


@pytest.mark.parametrize("file", ["memory.max", "a/memory.max", "a/b/memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_what_a_container_may_take(groups: Path, file: str) -> None:
    whole = memory.half_of_memory_gb()
    (groups / file).parent.mkdir(exist_ok=True)
    (groups / file).write_text("max\n")
    assert memory.half_of_memory_gb() == whole
    (groups / file).write_text("2000000000\n")
    assert memory.half_of_memory_gb() == 1.0
