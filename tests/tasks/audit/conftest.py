"""A training with its evaluation that several tests audit, and ways to change what lies around it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from audited_runs import SMALL, Story


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory, phantom_datalist: Path) -> Story:
    """Three epochs on the phantom films, and the scores of the test part."""
    import torch

    from pipeline.tasks.evaluate import evaluate
    from pipeline.tasks.train import train

    folder = tmp_path_factory.mktemp("audited")
    shutil.copytree(phantom_datalist.parent, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlruns.db'}")
        patch.chdir(folder)
        # A bundle takes a thread for each core; with pictures this small they would wait for one another.
        torch.set_num_threads(1)
        patch.setattr(torch, "set_num_threads", lambda number: None)
        trained = train("cxr_lung_segmentation", folder / "datalist.json", folder / "trained", SMALL)
        scored = evaluate(str(folder / "trained"), folder / "datalist.json", "test", folder / "scores")
    assert trained.run_id and scored.run_id
    return Story(folder, trained.run_id, scored.run_id)


@pytest.fixture
def changing() -> Iterator[Callable[..., None]]:
    """A function that keeps files as they are, to be as they were after the test."""
    kept: dict[Path, bytes] = {}

    def keep(*paths: Path) -> None:
        for path in paths:
            kept.setdefault(path, path.read_bytes())

    yield keep
    for path, content in kept.items():
        if content.startswith(b"SQLite format 3"):
            _restore_database(path, content)
        else:
            path.write_bytes(content)


def _restore_database(path: Path, content: bytes) -> None:
    """By a transaction: MLflow's open connections take bytes that were put back for those that they have read."""
    with closing(sqlite3.connect(":memory:")) as before, closing(sqlite3.connect(path)) as database:
        before.deserialize(content)
        before.backup(database)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow puts the artifacts of a SQLite store into the working folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("working"))
