"""Commands in processes of their own, as a user gives them in a shell whose settings name a server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SMALL", "Shell", "run_of"]

# A training of seconds.
SMALL = {
    "val_interval": "1",
    "image_size": "[64, 64]",
    "num_workers": "0",
    "batch_size": "4",
    "network_def#channels": "[4, 8]",
    "network_def#strides": "[2]",
    # Without the bundle's number of threads, which on a machine that is busy wait for one another.
    "initialize": '["$monai.utils.set_determinism(seed=0)"]',
}
# What a test says itself, or what would let the commands use another server than it says.
FOREIGN = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "PLANAR_TRACEBACK")


@dataclass(frozen=True)
class Shell:
    """A working folder and settings.

    Attributes:
        folder: The commands are called in it; records that wait are in its `state`.
        uri: Of the MLflow server.
        settings: Other environment variables.
    """

    folder: Path
    uri: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """Where records wait until the server has them."""
        return self.folder / "state"

    def environment(self) -> dict[str, str]:
        """The environment of the commands."""
        kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        said = {"MLFLOW_TRACKING_URI": self.uri, "PLANAR_STATE": str(self.state), "OMP_NUM_THREADS": "1"}
        return {**kept, **said, "PYTHONWARNINGS": "ignore", **self.settings}

    def planar(self, *arguments: str | Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a `planar` command to its end, which must be of this status; None for any."""
        code = "import sys; sys.argv[0] = 'planar'; from pipeline.cli import main; main()"
        return self.python("-c", code, *arguments, status=status)

    def monai(self, *arguments: str | Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a `python -m monai.bundle` command to its end."""
        return self.python("-m", "monai.bundle", *arguments, status=status)

    def python(self, *arguments: str | Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run Python to its end."""
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert status in (None, done.returncode), (
            f"status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        )
        return done

    def begin(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start Python in the background; what it says is in `begun.log`."""
        with (self.folder / "begun.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def told(self) -> str:
        """What commands in the background have said."""
        return (self.folder / "begun.log").read_text(errors="replace")


def run_of(said: str) -> str:
    """The id of the run that a command names in its summary."""
    (line,) = [line for line in said.splitlines() if line.startswith("MLflow:")]
    return line.split()[2].rstrip(";")
