"""nnU-Net's own environment: its programs, its folders and its settings."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.commands import run_logged
from pipeline.errors import MissingExtra, MissingFile

__all__ = ["PLUGINS", "NnunetEnvironment", "find_python"]

PLUGINS = Path(__file__).parent / "plugins"
INSTALL = "python -m venv nnunet-env && nnunet-env/bin/pip install torch==2.13.0 nnunetv2"


def find_python(given: Path | None) -> Path:
    """The Python of an environment that has nnU-Net: as given, of `NNUNET_PYTHON`, or this one.

    Raises:
        MissingFile: if the one that was named is not there, or has no nnU-Net.
        MissingExtra: if none was named and this one has none.
    """
    named = given or (Path(os.environ["NNUNET_PYTHON"]) if os.environ.get("NNUNET_PYTHON") else None)
    if named is None:
        if importlib.util.find_spec("nnunetv2") is None:
            raise MissingExtra(
                f"nnU-Net is not installed here. Install it apart ({INSTALL}; torch in the same command, or another "
                "build replaces it) and give --nnunet-python nnunet-env/bin/python."
            )
        named = Path(sys.executable)
    python = Path(os.path.abspath(named.expanduser()))  # noqa: PTH100 - a venv's python is a link that must not be followed
    program = python.parent / "nnUNetv2_train"
    if not python.is_file() or not program.is_file():
        raise MissingFile(
            f"{python if not python.is_file() else program} is not there; expected the Python of an environment with "
            f"nnU-Net, such as: {INSTALL}."
        )
    return python


@dataclass(frozen=True)
class NnunetEnvironment:
    """Where nnU-Net works.

    Attributes:
        python: Of its environment.
        folder: Its raw, preprocessed and result folders, and the logs.
        cores: Processes that it may use for preprocessing; one fewer augments while it trains.
    """

    python: Path
    folder: Path
    cores: int

    @property
    def raw(self) -> Path:
        """`nnUNet_raw`."""
        return self.folder / "nnUNet_raw"

    @property
    def preprocessed(self) -> Path:
        """`nnUNet_preprocessed`."""
        return self.folder / "nnUNet_preprocessed"

    @property
    def results(self) -> Path:
        """`nnUNet_results`."""
        return self.folder / "nnUNet_results"

    @property
    def settings(self) -> dict[str, str]:
        """What nnU-Net reads from the environment."""
        return {
            "nnUNet_raw": str(self.raw),
            "nnUNet_preprocessed": str(self.preprocessed),
            "nnUNet_results": str(self.results),
            "nnUNet_extTrainer": str(PLUGINS / "trainers"),
            "nnUNet_def_n_proc": str(self.cores),
            # nnU-Net's default is 12 or the cores; on a CPU these would take turns with the network's threads.
            "nnUNet_n_proc_DA": str(max(1, min(12, self.cores - 1))),
            "PYTHONPATH": str(PLUGINS / "site"),
            "PYTHONUNBUFFERED": "1",
        }

    def program(self, name: str, arguments: list[str], log: str, more: dict[str, str] | None = None) -> float:
        """Run one of nnU-Net's commands; the seconds it took.

        Raises: PeerError: if it fails.
        """
        return self._run([str(self.python.parent / name), *arguments], log, more)

    def plugin(self, name: str, arguments: list[str], log: str) -> float:
        """Run one of our scripts with nnU-Net's Python; the seconds it took.

        Raises: PeerError: if it fails.
        """
        return self._run([str(self.python), str(PLUGINS / name), *arguments], log, None)

    def _run(self, command: list[str], log: str, more: dict[str, str] | None) -> float:
        return run_logged(command, self.folder / "logs" / f"{log}.log", self.settings | (more or {}))
