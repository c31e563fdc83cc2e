"""Stores that several tests record into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One SQLite store for all tests here, each with an experiment of its own: its creation takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        uri = f"sqlite:///{folder / 'runs.db'}"
        MlflowClient(tracking_uri=uri).search_experiments()
        yield uri


@pytest.fixture
def experiment(request: pytest.FixtureRequest, store: str) -> str:
    """An experiment of the test's own, whose artifacts lie beside the store."""
    name = str(request.node.name)
    artifacts = Path(store.removeprefix("sqlite:///")).parent / "artifacts"
    MlflowClient(tracking_uri=store).create_experiment(name, artifact_location=artifacts.as_uri())
    return name


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of records of the test's own."""
    monkeypatch.setenv("PLANAR_STATE", str(tmp_path / "state"))
    return tmp_path / "state"
