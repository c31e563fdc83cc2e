"""Planar's bundle, trained for the budget and asked for masks."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import benchmarks
from benchmarks.commands import PeerError, run_logged
from benchmarks.planar.clock import epochs_that_fit
from pipeline.bundle import Bundle, find_bundle
from pipeline.errors import InvalidOption

__all__ = ["PlanarContestant"]

# An epoch is measured over two validations, or for as long as this share of the budget, at least so many seconds.
MEASURED_CYCLES = 2
MEASURED_SHARE = 0.2
MEASURED_SECONDS = 20.0


@dataclass(frozen=True)
class PlanarContestant:
    """Planar as a peer.

    Attributes:
        folder: Where its bundle, weights and logs are kept.
        data: The datalist.
        budget_s: Wall clock of the training, from the start of its process, s.
        overrides: `key=value` for the train config.
    """

    folder: Path
    data: Path
    budget_s: float
    overrides: tuple[str, ...] = ()

    @property
    def trained(self) -> Path:
        """The trained bundle."""
        return self.folder / "trained"

    def plan(self, task: Path) -> dict[str, Any]:
        """`planar plan` for the budget, with its time."""
        bundle = self.folder / f"{self.data.resolve().parent.name}_segmentation"
        shutil.rmtree(bundle, ignore_errors=True)
        command = ["-c", "from pipeline.cli import main; main()", "plan", self.data, "--task", task, "-o", bundle]
        command += ["--budget", f"{self.budget_s:g}s"]
        seconds = self._python("plan", command)
        return {"bundle": str(bundle), "seconds": seconds}

    def measure(self, bundle: str) -> dict[str, Any]:
        """Train for a moment, and say how many epochs the budget has room for."""
        found = find_bundle(bundle)
        interval = self._interval(found)
        enough = MEASURED_CYCLES * interval
        seconds = max(MEASURED_SECONDS, MEASURED_SHARE * self.budget_s)
        stop = ["--enough-epochs", str(enough), "--enough-seconds", f"{seconds:g}"]
        began, report = self._train(found, "measure", self.budget_s, ["max_epochs=10000"], stop)
        shutil.rmtree(self.folder / "measure", ignore_errors=True)
        ends = report["epoch_ends"]
        if len(ends) < 2:
            raise InvalidOption(
                f"{found.name}: an epoch does not fit into {self.budget_s / 60:g} min ({len(ends)} ended). "
                "Give more --minutes, or a smaller bundle."
            )
        return {
            "epochs": epochs_that_fit(began, ends, interval, self.budget_s),
            "measured_epochs": len(ends),
            "seconds_an_epoch": (ends[-1] - ends[0]) / (len(ends) - 1),
        }

    def train(self, bundle: str, epochs: int) -> dict[str, Any]:
        """Train for the budget."""
        found = find_bundle(bundle)
        keys = yaml.safe_load(found.config("train").read_text(encoding="utf-8"))
        settings = [f"max_epochs={epochs}"]
        if "patience" in keys:  # the peer does not end early either
            settings.append(f"patience={epochs}")
        began, report = self._train(found, "trained", self.budget_s, settings, [])
        if not report["best_epoch"]:
            raise PeerError(f"Planar was not validated once in {self.budget_s / 60:g} min. Give more --minutes.")
        batch = keys.get("batch_size")
        ended = report.pop("ended")
        ends = report.pop("epoch_ends")
        del report["process_began"]
        return {
            **report,
            "seconds": ended - began,
            "seconds_before_first_epoch_ended": ends[0] - began,
            "planned_epochs": epochs,
            "batch_size": batch if isinstance(batch, int) else None,
        }

    def predict(self, masks: Path, *, tta: bool) -> dict[str, Any]:
        """Masks of the test cases, with the time of the whole command."""
        shutil.rmtree(masks, ignore_errors=True)
        command = ["-m", "benchmarks.planar.prediction", self.trained, "--data", self.data, "--masks", masks]
        if not tta:
            command.append("--no-tta")
        return {"seconds": self._python(f"predict{'' if tta else '_no_tta'}", command)}

    def _train(
        self, bundle: Bundle, name: str, budget_s: float, settings: list[str], stop: list[str]
    ) -> tuple[float, dict[str, Any]]:
        out, report = self.folder / name, self.folder / f"{name}.json"
        shutil.rmtree(out, ignore_errors=True)
        began = time.time()
        command: list[str | Path] = ["-m", "benchmarks.planar.training", bundle.root, "--data", self.data, "--out", out]
        command += ["--report", report, "--deadline", f"{began + budget_s:.3f}", *stop, *self.overrides, *settings]
        self._python(name, command)
        return began, json.loads(report.read_text(encoding="utf-8"))

    def _interval(self, bundle: Bundle) -> int:
        given = dict(pair.partition("=")[::2] for pair in self.overrides).get("val_interval")
        interval = given or yaml.safe_load(bundle.config("train").read_text(encoding="utf-8")).get("val_interval", 1)
        return int(interval)

    def _python(self, name: str, arguments: list[Any]) -> float:
        root = Path(benchmarks.__file__).parent.parent
        settings = {"PYTHONPATH": str(root)}
        return run_logged([sys.executable, *map(str, arguments)], self.folder / "logs" / f"{name}.log", settings)
