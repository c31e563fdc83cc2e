from __future__ import annotations

from pathlib import Path

import git
import pytest

import pipeline
from pipeline.tracking import environment


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> git.Repo:
    """A repository with a committed script and a committed table, in which we are."""
    repository = git.Repo.init(tmp_path / "work", initial_branch="study")
    with repository.config_writer() as config:
        config.set_value("user", "name", "T")
        config.set_value("user", "email", "t@example.org")
    folder = tmp_path / "work"
    (folder / "run.py").write_text("epochs = 1\n")
    (folder / "patients.csv").write_text("name\nDoe^Jane\n")
    repository.index.add(["run.py", "patients.csv"])
    repository.index.commit("first")
    monkeypatch.chdir(folder)
    return repository


def test_the_working_folders_own_repository_is_told_with_what_differs_in_code_and_not_in_tables(
    repository: git.Repo, tmp_path: Path
) -> None:
    found = {one.of: one for one in environment.checkouts()}["working folder"]
    assert (found.commit, found.branch, found.dirty, found.diff) == (
        repository.head.commit.hexsha,
        "study",
        False,
        "",
    )
    (tmp_path / "work" / "run.py").write_text("epochs = 2\n")
    (tmp_path / "work" / "patients.csv").write_text("name\nRoe^Richard\n")
    repository.git.checkout("--detach")
    found = {one.of: one for one in environment.checkouts()}["working folder"]
    assert found.dirty
    assert found.branch is None
    assert "+epochs = 2" in found.diff
    assert "Roe" not in found.diff
    repository.git.stash()
    (tmp_path / "given.patch").write_text(found.diff)
    repository.git.apply(str(tmp_path / "given.patch"))
    assert (tmp_path / "work" / "run.py").read_text() == "epochs = 2\n"
    repository.close()


def test_a_package_in_an_environment_is_not_taken_for_part_of_the_repository_around_it(
    repository: git.Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "work" / ".venv" / "pipeline" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.touch()
    monkeypatch.setattr(pipeline, "__file__", str(package))
    monkeypatch.chdir(tmp_path)
    assert environment.checkouts() == []
    repository.close()


def test_outside_any_repository_there_is_nothing_to_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "working folder" not in {one.of for one in environment.checkouts()}


def test_versions_machine_and_lock_are_told() -> None:
    facts = environment.machine()
    assert facts["memory_bytes"] > 2**28
    assert facts["threads"] >= 1
    assert facts["cpu"]
    assert {"python", "planar", "torch", "monai", "mlflow"} <= set(environment.versions())
    lock = environment.lock_text().splitlines()
    assert any(line.startswith("torch==") for line in lock)
    assert len(lock) > 50


def test_user_and_host_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANAR_RECORD_USER", raising=False)
    assert set(environment.user_and_host()) <= {"user", "host"}
    assert environment.user_and_host()["host"]
    monkeypatch.setenv("PLANAR_RECORD_USER", "0")
    assert environment.user_and_host() == {}


def test_a_command_is_told_without_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for called, told in (
        ("/home/doe/.venv/bin/planar", "planar"),
        ("/x/site-packages/monai/bundle/__main__.py", "monai.bundle"),
        ("-c", "python"),
    ):
        monkeypatch.setattr("sys.argv", [called])
        assert environment.source_name() == told
