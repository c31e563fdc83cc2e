"""A server that is away for a minute in the middle of a training: the record is whole all the same."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow_server import MlflowServer
from planar_shell import SMALL, Shell, run_of
from postgres import Postgres
from recorded import last_step, require_epochs_once, status_of, steps_of
from servers import RUNS

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]

AWAY_S = 60.0
# Epochs before the outage, within it, and behind it.
BEFORE, WITHIN, BEHIND = 5, 2, 3


def hang(server: MlflowServer, postgres: Postgres) -> None:
    """It takes connections and answers nothing."""
    server.signal(signal.SIGSTOP)
    time.sleep(AWAY_S)
    server.signal(signal.SIGCONT)


def crash(server: MlflowServer, postgres: Postgres) -> None:
    """It is killed, and started again later."""
    server.stop()
    time.sleep(AWAY_S)
    server.start()


def lose_database(server: MlflowServer, postgres: Postgres) -> None:
    """It answers each request with an error, for PostgreSQL is down."""
    postgres.halt()
    time.sleep(AWAY_S / 2)
    postgres.start()


@pytest.mark.parametrize("outage", [hang, crash, lose_database])
def test_the_record_of_a_training_is_whole_after_an_outage_in_its_middle(
    outage: Callable[[MlflowServer, Postgres], None],
    server: MlflowServer,
    postgres: Postgres,
    shell: Shell,
    phantom_datalist: Path,
) -> None:
    former = last_step(postgres, RUNS)
    settings = {**SMALL, "max_epochs": "2000", "patience": "2000"}
    script = Path(__file__).with_name("paced_training.py")
    process = shell.begin(script, phantom_datalist, "lungs", *(f"{name}={value}" for name, value in settings.items()))
    try:
        wait_for(lambda: steps(postgres, former) >= BEFORE, process, shell)
        began_ms = time.time() * 1000
        outage(server, postgres)
        ended_ms = time.time() * 1000
        wait_for(lambda: len(epochs_since(ended_ms, postgres)) >= BEHIND, process, shell)
        (shell.folder / "enough").touch()
        assert process.wait(600) == 0, shell.told[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert shell.told.count("\n") == 1, shell.told  # no word of what is missing
    run_id = run_of(shell.told)
    assert status_of(postgres, RUNS, run_id) == "FINISHED"
    epochs = steps_of(postgres, RUNS, run_id, "val_mean_dice")
    assert epochs == list(range(1, len(epochs) + 1))
    require_epochs_once(postgres, RUNS, run_id, shell.folder / "lungs" / "models" / "history.csv")
    # Training went on while nobody answered.
    assert len(epochs_since(began_ms, postgres)) - len(epochs_since(ended_ms, postgres)) >= WITHIN
    assert not list((shell.state / "records").iterdir())
    # Files, numbers and weights are those of the list that the training has made of them.
    assert "FAIL" not in shell.planar("audit", "verify", run_id, "--no-evaluate", status=None).stdout


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes], shell: Shell, limit_s: float = 600) -> None:
    """Wait for something while a training goes on."""
    end = time.monotonic() + limit_s
    while not what():
        assert process.poll() is None and time.monotonic() < end, shell.told[-3000:]
        time.sleep(0.3)


def steps(postgres: Postgres, former: tuple[str, int] | None) -> int:
    """The last epoch of the run that has just begun; 0 before it has."""
    found = last_step(postgres, RUNS)
    return 0 if found is None or (former is not None and found[0] == former[0]) else found[1]


def epochs_since(time_ms: float, postgres: Postgres) -> list[int]:
    """Epochs of the last run that have ended since then, by the training's own clock."""
    found = last_step(postgres, RUNS)
    assert found is not None
    query = "SELECT step FROM metrics WHERE run_uuid = %s AND key = 'train_loss' AND timestamp > %s"
    return [int(step) for (step,) in postgres.rows(RUNS, query, found[0], int(time_ms))]
