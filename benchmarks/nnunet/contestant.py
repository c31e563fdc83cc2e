"""nnU-Net as one of the peers: prepared by its own commands, trained by its own trainer until the deadline."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, save_mask
from benchmarks.commands import PeerError
from benchmarks.nnunet.conversion import DATASET_ID, RawDataset, read_prediction
from benchmarks.nnunet.environment import NnunetEnvironment
from benchmarks.nnunet.fitting import Fit, fit_plan
from pipeline.atomic import write_text_aside

__all__ = ["FITTED_PLANS", "OWN_PLANS", "NnunetContestant"]

OWN_PLANS = "nnUNetPlans"
FITTED_PLANS = "nnUNetPlansFitted"
TRAINERS = {"own": "WallClockTrainer", "bfloat16": "WallClockTrainerBF16"}
MEASURED_BATCH = 2  # nnU-Net's smallest


@dataclass(frozen=True)
class NnunetContestant:
    """nnU-Net v2 2D.

    Attributes:
        environment: Where it works.
        dataset: The set in its raw layout.
        device: "cpu" or "cuda".
        budget_s: Wall clock of the training, from the start of its process, s.
    """

    environment: NnunetEnvironment
    dataset: RawDataset
    device: str
    budget_s: float

    def prepare(self) -> dict[str, Any]:
        """`nnUNetv2_plan_and_preprocess`: its own plan, and the set preprocessed by it."""
        shutil.rmtree(self._preprocessed, ignore_errors=True)
        arguments = ["-d", str(DATASET_ID), "-c", "2d", "-np", str(self.environment.cores)]
        seconds = self.environment.program(
            "nnUNetv2_plan_and_preprocess", [*arguments, "--verify_dataset_integrity"], "prepare"
        )
        return {"seconds": seconds, "plan": self._plan(OWN_PLANS)}

    def fit(self, wanted_steps: int) -> dict[str, Any]:
        """Measure a step, choose the plan that fits the budget, and preprocess by it; none if its own does."""
        began = time.perf_counter()
        own = self._plan(OWN_PLANS)
        out = self.environment.folder / "step_times.json"
        arguments = [str(self._plans_file(OWN_PLANS)), str(self.dataset.folder / "dataset.json"), "--out", str(out)]
        arguments += ["--batch", str(MEASURED_BATCH), "--device", self.device]
        self.environment.plugin("step_times.py", arguments, "fit")
        measured = json.loads(out.read_text(encoding="utf-8"))
        fit = fit_plan(
            own["patch_size"], own["batch_size"], MEASURED_BATCH, measured["seconds"], self.budget_s, wanted_steps
        )
        preprocessing = self._preprocess_fitted(fit) if fit.needed else 0.0
        return {
            **asdict(fit),
            "seconds_a_step": measured["seconds"],
            "measured_batch": MEASURED_BATCH,
            "plan": self._plan(FITTED_PLANS) if fit.needed else None,
            "seconds": time.perf_counter() - began,
            "seconds_preprocessing": preprocessing,
        }

    def train(self, plans: str, precision: str) -> dict[str, Any]:
        """Train fold 0, which is the datalist's split, until the budget is used up."""
        trainer = TRAINERS[precision]
        folder = self._results(plans, precision) / "fold_0"
        shutil.rmtree(folder, ignore_errors=True)
        began = time.time()
        deadline = {"WALL_CLOCK_DEADLINE": f"{began + self.budget_s:.3f}"}
        arguments = [str(DATASET_ID), "2d", "0", "-tr", trainer, "-p", plans, "-device", self.device]
        self.environment.program("nnUNetv2_train", arguments, f"train_{plans}", deadline)
        report: dict[str, Any] = json.loads((folder / "wall_clock.json").read_text(encoding="utf-8"))
        losses, ended = report.pop("losses"), report.pop("ended")
        return {
            **report,
            "seconds": ended - began,
            "first_loss": losses[0],
            "last_loss": sum(losses[-5:]) / len(losses[-5:]),
            "precision": precision,
        }

    def predict(self, plans: str, precision: str, cases: Sequence[Case], masks: Path, *, tta: bool) -> dict[str, Any]:
        """`nnUNetv2_predict` on the test cases, and its masks brought back on each source grid."""
        name = f"predict_{plans}{'' if tta else '_no_tta'}"
        out = self.environment.folder / name
        for folder in (out, masks):
            shutil.rmtree(folder, ignore_errors=True)
        workers = str(min(3, self.environment.cores))
        arguments = ["-i", str(self.dataset.test_images), "-o", str(out), "-d", str(DATASET_ID), "-c", "2d", "-f", "0"]
        arguments += ["-tr", TRAINERS[precision], "-p", plans, "-device", self.device, "-npp", workers, "-nps", workers]
        arguments += ["--disable_progress_bar"] + ([] if tta else ["--disable_tta"])
        seconds = self.environment.program("nnUNetv2_predict", arguments, name)
        for case in cases:
            path = out / f"{case.name}{self.dataset.ending}"
            if not path.is_file():
                raise PeerError(f"nnU-Net wrote no mask of {case.shown}; see {self.environment.folder / 'logs'}.")
            save_mask(read_prediction(path), case, masks)
        return {"seconds": seconds}

    def _preprocess_fitted(self, fit: Fit) -> float:
        """Plan with nnU-Net's planner at the coarser pixel size, set the batch, preprocess; the seconds of the last."""
        own = json.loads(self._plans_file(OWN_PLANS).read_text(encoding="utf-8"))
        across = own["original_median_spacing_after_transp"][0]
        spacing = [across, *(size * fit.coarser for size in own["configurations"]["2d"]["spacing"])]
        arguments = ["-d", str(DATASET_ID), "-overwrite_plans_name", FITTED_PLANS, "-overwrite_target_spacing"]
        self.environment.program("nnUNetv2_plan_experiment", [*arguments, *map(str, spacing)], "plan_fitted")
        path = self._plans_file(FITTED_PLANS)
        plans = json.loads(path.read_text(encoding="utf-8"))
        plans["configurations"]["2d"]["batch_size"] = fit.batch
        write_text_aside(path, json.dumps(plans, indent=4) + "\n")
        arguments = ["-d", str(DATASET_ID), "-plans_name", FITTED_PLANS, "-c", "2d", "-np", str(self.environment.cores)]
        return self.environment.program("nnUNetv2_preprocess", arguments, "preprocess_fitted")

    def _plan(self, plans: str) -> dict[str, Any]:
        """What matters of a plan."""
        plan = json.loads(self._plans_file(plans).read_text(encoding="utf-8"))["configurations"]["2d"]
        return {
            "patch_size": [int(side) for side in plan["patch_size"]],
            "batch_size": int(plan["batch_size"]),
            "spacing": plan["spacing"],
            "normalisation": plan["normalization_schemes"],
            "stages": plan["architecture"]["arch_kwargs"]["n_stages"],
        }

    @property
    def _preprocessed(self) -> Path:
        return self.environment.preprocessed / self.dataset.folder.name

    def _plans_file(self, plans: str) -> Path:
        return self._preprocessed / f"{plans}.json"

    def _results(self, plans: str, precision: str) -> Path:
        return self.environment.results / self.dataset.folder.name / f"{TRAINERS[precision]}__{plans}__2d"
