"""The commands of a release: each is what a user gives, with a log, and is done once."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import PeerError, run_logged
from benchmarks.release.releases import Release
from benchmarks.stages import Stages
from pipeline.bundle import shipped_folder

__all__ = ["Commands", "Setting"]

PLANAR = Path(sys.executable).with_name("planar")
# What is recorded is given to everybody: it need not say who trained, and where.
NOBODY = {"PLANAR_RECORD_USER": "0"}


@dataclass(frozen=True)
class Setting:
    """Where and how long.

    Attributes:
        data: Folder of the sets.
        out: Folder of the results.
        minutes: Of a training; None for each bundle's own budget.
        machine: Options of `planar plan` that describe the machine.
        recipes: Whether the recipes are trained beside.
        overrides: `KEY=VALUE` for the trainings of the bundles.
        bundles: Folder that finished bundles are put into; None for nowhere.
        lists_only: Make the datalists and stop.
        start_from: Bundle, or file of weights, that the trainings begin with; None for the release's own way.
    """

    data: Path
    out: Path
    minutes: float | None
    machine: tuple[str, ...]
    recipes: bool
    overrides: tuple[str, ...] = ()
    bundles: Path | None = None
    lists_only: bool = False
    start_from: str | None = None


class Commands:
    """What one release is made by, and where it lies.

    Args:
        release: The release.
        setting: Where and how long.
        tell: Called with one line as a step begins, ends, or is found done.
    """

    def __init__(self, release: Release, setting: Setting, tell: Callable[[str], None]) -> None:
        configs = shipped_folder("configs")
        assert configs is not None
        self.release = release
        self.setting = setting
        self.task = configs / "tasks" / f"{release.task}.yaml"
        self.names = {"tasks": str(self.task.parent)}
        self.lists = setting.out / "data"
        self.bundle = setting.out / "bundles" / release.name
        self.trained = setting.out / "trained" / release.name
        self.minutes = setting.minutes or release.budget_min
        self.store = f"sqlite:///{(setting.out / 'mlruns.db').resolve()}"
        # Evaluations of joined classes, which are no runs.
        self.joined: list[Path] = []
        self.stages = Stages(setting.out / "stages" / release.name, lambda line: tell(f"{release.name}  {line}"))

    def list_of(self, name: str) -> Path:
        """The datalist of that name."""
        return self.lists / f"{name}.json"

    def run_id(self) -> str:
        """The training's run."""
        record = json.loads((self.trained / "models" / "record.json").read_text(encoding="utf-8"))
        return str(record["run_id"])

    def figures(self, folder: Path) -> Mapping[str, Any]:
        """What an evaluation comes to over subjects, by class and metric."""
        summary = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["summary"]
        return {name: part["per_subject"] for name, part in summary.items()}

    def step(
        self,
        name: str,
        words: Sequence[str | Path],
        new: Path | None,
        after: Sequence[str] = (),
    ) -> None:
        """One command of ours.

        Args:
            name: Of the step.
            words: The command.
            new: A folder that it makes and that must not be there.
            after: Steps that it builds on.
        """

        def work() -> Mapping[str, Any]:
            if new is not None and new.is_dir():
                shutil.rmtree(new)
            log = self.setting.out / "logs" / self.release.name / f"{name}.log"
            began = time.time()
            try:
                run_logged([PLANAR, *words], log, {"MLFLOW_TRACKING_URI": self.store, **NOBODY, **_threads()})
            except PeerError:
                # Status 1 with a result: some files were refused, and the log says which.
                made = Path(words[words.index("-o") + 1]) if "-o" in words else None
                if words[0] not in ("index", "merge") or made is None or not _is_new(made, began):
                    raise
            return {"log": str(log)}

        self.stages.do(name, {"command": [str(word) for word in words]}, work, after=after)


def _is_new(path: Path, began: float) -> bool:
    return path.is_file() and path.stat().st_mtime >= began - 1


def _threads() -> dict[str, str]:
    """Limits on threads of this shell, which `run_logged` takes away for fairness between peers; here is no peer."""
    return {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
