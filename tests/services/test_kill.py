"""Stock MONAI's command, killed from outside in the middle of a training that PostgreSQL records, and the next one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from planar_shell import SMALL, Shell
from postgres import Postgres
from recorded import last_step, require_epochs_once, require_nothing_doubled, status_of, steps_of, tag_of
from servers import RUNS

from pipeline.bundle import find_bundle

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


def stock(datalist: Path, folder: Path, epochs: int) -> list[str]:
    """`python -m monai.bundle run … --tracking …`, as the README has it."""
    root = find_bundle("cxr_lung_segmentation").root
    options = {
        "config_file": str(root / "configs" / "train.yaml"),
        "tracking": str(root / "configs" / "tracking.json"),
        "bundle_root": str(root),
        "datalist": str(datalist),
        "ckpt_dir": str(folder / "models"),
        "output_dir": str(folder / "eval"),
        **SMALL,
        "max_epochs": str(epochs),
    }
    return ["-m", "monai.bundle", "run", *(part for name, value in options.items() for part in (f"--{name}", value))]


def test_a_killed_training_is_found_stale_by_the_next_one_and_no_steps_are_mixed(
    postgres: Postgres, shell: Shell, phantom_datalist: Path
) -> None:
    former = last_step(postgres, RUNS)
    process = shell.begin(*stock(phantom_datalist, shell.folder / "killed", 1000))
    try:
        end = time.monotonic() + 600
        while (found := last_step(postgres, RUNS)) is None or found[0] == (former or ("",))[0] or found[1] < 3:
            assert process.poll() is None and time.monotonic() < end, shell.told[-3000:]
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    killed = found[0]
    assert status_of(postgres, RUNS, killed) == "RUNNING"  # nothing has ended it yet
    reached = steps_of(postgres, RUNS, killed, "val_mean_dice")

    shell.python(*stock(phantom_datalist, shell.folder / "next", 3))
    after = last_step(postgres, RUNS)
    assert after is not None and after[0] != killed
    assert status_of(postgres, RUNS, killed) == "KILLED"
    assert (tag_of(postgres, RUNS, killed, "planar.ended") or "").startswith(f"found stale: process {process.pid}")
    assert status_of(postgres, RUNS, after[0]) == "FINISHED"
    assert steps_of(postgres, RUNS, after[0], "val_mean_dice") == [1, 2, 3]
    require_epochs_once(postgres, RUNS, after[0], shell.folder / "next" / "models" / "history.csv")
    # What the killed process had still in its journal has been sent: all that it has told, once.
    steps = steps_of(postgres, RUNS, killed, "val_mean_dice")
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= len(reached) >= 3
    require_nothing_doubled(postgres, RUNS, killed)
    assert not list((shell.state / "records").iterdir())
