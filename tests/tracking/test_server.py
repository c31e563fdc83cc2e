"""Recording while a real server goes away, comes back, and hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer

from pipeline.tracking.record import Record
from pipeline.tracking.stale import sync

pytestmark = [
    pytest.mark.slow,
    pytest.mark.service,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.name == "nt", reason="processes are stopped otherwise on Windows"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


def tell(record: Record, steps: range, folder: Path) -> float:
    """Some epochs; the longest that one of them took, s."""
    longest = 0.0
    for step in steps:
        began = time.perf_counter()
        record.metrics({"dice": step / 100, "loss": 1 / (step + 1)}, step)
        (folder / f"epoch{step}.csv").write_text(str(step))
        record.file(folder / f"epoch{step}.csv", "tables")
        longest = max(longest, time.perf_counter() - began)
    return longest


def steps_of(server: MlflowServer, record: Record) -> list[int]:
    return [point.step for point in MlflowClient(server.uri).get_metric_history(record.run_id, "dice")]


def test_a_server_that_goes_and_comes_back_in_the_middle_has_everything_once(
    server: MlflowServer, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = Record.begin(server.uri, "down", tags={})
    tell(record, range(3), tmp_path)
    assert record.flush(300)
    server.stop()
    assert tell(record, range(3, 8), tmp_path) < 1.0  # training does not wait
    assert record.left == 10
    server.start()
    tell(record, range(8, 10), tmp_path)
    assert record.end("FINISHED", 300) is None
    client = MlflowClient(server.uri)
    assert client.get_run(record.run_id).info.status == "FINISHED"
    assert steps_of(server, record) == list(range(10))
    assert {item.path for item in client.list_artifacts(record.run_id, "tables")} == {
        f"tables/epoch{step}.csv" for step in range(10)
    }
    assert not list((state / "records").iterdir())
    assert capsys.readouterr().out == ""  # MLflow's line with the run's address would tell a password in it


def test_a_server_that_hangs_holds_up_neither_training_nor_its_end(
    server: MlflowServer, state: Path, tmp_path: Path
) -> None:
    record = Record.begin(server.uri, "hangs", tags={})
    assert record.flush(300)
    server.signal(signal.SIGSTOP)
    try:
        assert tell(record, range(4), tmp_path) < 1.0
        began = time.perf_counter()
        shortfall = record.end("FINISHED", 3)
        assert time.perf_counter() - began < 60
        assert shortfall is not None
        assert "11 parts are left: It does not answer." in shortfall
    finally:
        server.signal(signal.SIGCONT)
    (result,) = sync(server.uri)
    assert (result.left, result.refused, result.found_stale, result.reason) == (0, 0, False, None)
    record._sender.join(300)  # its request was answered too
    assert steps_of(server, record) == list(range(4))
    assert MlflowClient(server.uri).get_run(record.run_id).info.status == "FINISHED"
    assert sync(server.uri) == []
