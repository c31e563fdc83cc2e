"""A server that asks for a password: the right one works, a wrong one is one line, and it is written down nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import requests
from planar_shell import SMALL, Shell, run_of
from postgres import Postgres
from recorded import require_epochs_once, status_of
from servers import GUARDED_RUNS, USERS, Guarded

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


def training(datalist: Path) -> list[str | Path]:
    settings = {**SMALL, "max_epochs": "2"}
    told = ("--register", "guarded_lungs")
    return [
        *("train", "cxr_lung_segmentation", "--data", datalist, "-o", "lungs"),
        *told,
        *(f"{name}={value}" for name, value in settings.items()),
    ]


def places_of(secret: str, postgres: Postgres, guarded: Guarded, shell: Shell, said: str) -> list[str]:
    """Where a secret stands: databases, artifacts, the server's log, the user's folders, the command's output."""
    found = ["output"] if secret in said else []
    found += [database for database in (GUARDED_RUNS, USERS) if secret in postgres.text(database)]
    files = [guarded.server.log, *guarded.server.artifacts.rglob("*"), *shell.folder.rglob("*")]
    return found + [str(path) for path in files if path.is_file() and secret.encode() in path.read_bytes()]


def with_variables(guarded: Guarded, folder: Path) -> Shell:
    settings = {"MLFLOW_TRACKING_USERNAME": guarded.user, "MLFLOW_TRACKING_PASSWORD": guarded.password}
    return Shell(folder, guarded.server.uri, settings)


def with_address(guarded: Guarded, folder: Path) -> Shell:
    address = guarded.server.uri.replace("://", f"://{guarded.user}:{guarded.password}@")
    return Shell(folder, address)


@pytest.mark.parametrize(
    ("give", "further"),
    [
        (with_variables, [["evaluate", "lungs", "--data", "DATALIST", "-o", "scores"], ["runs"], ["runs", "sync"]]),
        (with_address, [["audit", "verify", "RUN", "--no-evaluate"]]),
    ],
)
def test_with_the_right_password_all_is_recorded_and_it_stands_nowhere(
    give: Callable[[Guarded, Path], Shell],
    further: Sequence[Sequence[str]],
    guarded: Guarded,
    postgres: Postgres,
    tmp_path: Path,
    phantom_datalist: Path,
) -> None:
    shell = give(guarded, tmp_path)
    done = shell.planar(*training(phantom_datalist))
    run_id = run_of(done.stdout)
    assert status_of(postgres, GUARDED_RUNS, run_id) == "FINISHED"
    require_epochs_once(postgres, GUARDED_RUNS, run_id, tmp_path / "lungs" / "models" / "history.csv")
    said = done.stdout + done.stderr
    for command in further:
        words = {"DATALIST": str(phantom_datalist), "RUN": run_id}
        one = shell.planar(*(words.get(word, word) for word in command), status=None)
        said += one.stdout + one.stderr
        assert "Error" not in one.stderr
    assert "FAIL" not in said
    assert guarded.user not in said
    assert not list((shell.state / "records").iterdir())
    assert list(guarded.server.artifacts.rglob("*.png"))  # the pictures of the training are among what is searched
    assert places_of(guarded.password, postgres, guarded, shell, said) == []


@pytest.mark.parametrize(
    "settings",
    [{"MLFLOW_TRACKING_USERNAME": "radiographer", "MLFLOW_TRACKING_PASSWORD": "wrong-Pa55word"}, {}],
    ids=["wrong password", "no password"],
)
def test_wrong_credentials_are_one_line_before_anything_begins(
    settings: dict[str, str], guarded: Guarded, postgres: Postgres, tmp_path: Path, phantom_datalist: Path
) -> None:
    shell = Shell(tmp_path, guarded.server.uri, settings)
    before = postgres.rows(GUARDED_RUNS, "SELECT count(*) FROM runs")
    done = shell.planar(*training(phantom_datalist), status=1)
    (line,) = [line for line in done.stderr.splitlines() if line and not line.startswith("Loading")]
    assert line.startswith(f"Error: MLflow at {guarded.server.uri} cannot be used: It needs a user and a password")
    assert line.endswith("set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.")
    assert "wrong-Pa55word" not in done.stdout + done.stderr
    assert not (tmp_path / "lungs").exists()
    assert not list(tmp_path.rglob("*.pt"))
    assert postgres.rows(GUARDED_RUNS, "SELECT count(*) FROM runs") == before
    read = shell.planar("runs", status=1)
    assert read.stderr.startswith(f"Error: MLflow at {guarded.server.uri} cannot be read: It needs a user and")
    assert read.stderr.count("\n") == 1


def as_admin(guarded: Guarded, what: str, **content: str) -> None:
    """Make something that belongs to another user."""
    url = f"{guarded.server.uri}/api/2.0/mlflow/{what}"
    made = requests.post(url, json=content, auth=("admin", guarded.admin_password), timeout=60)
    assert made.status_code == 200, made.text


def test_another_users_experiment_is_told_in_one_line(guarded: Guarded, tmp_path: Path, phantom_datalist: Path) -> None:
    as_admin(guarded, "experiments/create", name="others")
    shell = with_variables(guarded, tmp_path)
    done = shell.planar(*training(phantom_datalist), "experiment_name=others", status=None)
    assert done.returncode == 1, done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line and not line.startswith("Loading")]
    assert line.startswith(f"Error: MLflow at {guarded.server.uri} cannot be used: The user has no right")


def test_another_users_model_keeps_the_version_out_and_nothing_else(
    guarded: Guarded, postgres: Postgres, tmp_path: Path, phantom_datalist: Path
) -> None:
    as_admin(guarded, "registered-models/create", name="their_lungs")
    shell = with_variables(guarded, tmp_path)
    words = ["their_lungs" if word == "guarded_lungs" else word for word in training(phantom_datalist)]
    done = shell.planar(*words)
    (note,) = [line for line in done.stdout.splitlines() if line.startswith("Note: MLflow")]
    assert "did not take" in note and "The user has no right" in note
    run_id = run_of(done.stdout)
    assert status_of(postgres, GUARDED_RUNS, run_id) == "FINISHED"
    require_epochs_once(postgres, GUARDED_RUNS, run_id, tmp_path / "lungs" / "models" / "history.csv")
    audit = shell.planar("audit", "verify", run_id, "--no-evaluate", status=None).stdout
    assert "FAIL" not in audit
    assert re.search(r"^PASS +files ", audit, re.M), audit
