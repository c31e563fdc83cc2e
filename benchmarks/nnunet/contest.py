"""Planar and nnU-Net on one datalist: the stages in their order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks.cases import cases_of
from benchmarks.commands import commands_in
from benchmarks.machine import describe_machine, has_cuda, versions_of
from benchmarks.nnunet.contestant import FITTED_PLANS, OWN_PLANS, NnunetContestant
from benchmarks.nnunet.conversion import convert, raw_dataset_of
from benchmarks.nnunet.environment import PLUGINS, NnunetEnvironment
from benchmarks.nnunet.fitting import WANTED_STEPS
from benchmarks.planar.contestant import PlanarContestant
from benchmarks.scoring import score
from benchmarks.stages import Stages
from benchmarks.table import Entry, entry_name, write_table
from pipeline.bundle import find_bundle
from pipeline.datalist import read_datalist
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption

__all__ = ["ContestOptions", "run_contest"]

PLANAR_PACKAGES = ("planar", "torch", "monai", "numpy")
NNUNET_PACKAGES = ("nnunetv2", "torch", "dynamic-network-architectures", "batchgeneratorsv2", "numpy")


@dataclass(frozen=True)
class ContestOptions:
    """What is compared and how.

    Attributes:
        data: Datalist with training, validation and test.
        minutes: Wall clock of each training.
        out: Folder of everything.
        python: Of nnU-Net's environment.
        bundle: The bundle to train; None to plan one for the budget.
        task: Task spec for planning.
        first: The peer that trains first, "planar" or "nnunet".
        own_plan: Whether nnU-Net is also trained by its own plan where that plan does not fit the budget.
        wanted_steps: Steps that nnU-Net should make; below them its plan is fitted to the time.
        overrides: `key=value` for the bundle's train config.
    """

    data: Path
    minutes: float
    out: Path
    python: Path
    bundle: str | None = None
    task: Path | None = None
    first: str = "planar"
    own_plan: bool = True
    wanted_steps: int = WANTED_STEPS
    overrides: tuple[str, ...] = ()


def run_contest(options: ContestOptions, tell: Callable[[str], None] = lambda line: None) -> Path:
    """Convert, prepare, train, predict and score; what was done before is not done again.

    Returns: The Markdown table; a JSON of the same name lies beside it.

    Raises:
        InvalidOption, InvalidDatalist, InvalidBundle, MissingFile: before anything is trained.
        PeerError: if a program of one of the peers fails.
    """
    if (options.bundle is None) == (options.task is None):
        raise InvalidOption("Give either --bundle, the bundle to train, or --task, to plan one for the budget.")
    contest = _Contest(options, tell)
    contest.prepare()
    contest.train()
    contest.predict()
    return contest.score()


class _Contest:
    """The stages, and what each of them found out."""

    def __init__(self, options: ContestOptions, tell: Callable[[str], None]) -> None:
        self.options = options
        self.stages = Stages(options.out / "stages", tell)
        self.machine = describe_machine()
        self.budget_s = 60 * options.minutes
        self.planar = PlanarContestant(
            options.out.resolve() / "planar", options.data.resolve(), self.budget_s, options.overrides
        )
        self.environment = NnunetEnvironment(options.python, (options.out / "nnunet").resolve(), self.machine["cores"])
        self.predicted: list[tuple[str, bool, float]] = []
        self.trained: dict[str, dict[str, Any]] = {}
        self.plans: dict[str, tuple[str, str]] = {}

    def prepare(self) -> None:
        """Both peers' work before training: nnU-Net's data and plans, Planar's plan and number of epochs."""
        do, options = self.stages.do, self.options
        settings = {"data": _digest(options.data)}
        found = do("convert", settings, lambda: {"folder": str(convert(options.data, self.environment.raw).folder)})
        device = self._device()
        self.nnunet = NnunetContestant(self.environment, raw_dataset_of(Path(found["folder"])), device, self.budget_s)
        self.versions = {
            "planar": versions_of(sys.executable, PLANAR_PACKAGES),
            "nnunet": versions_of(options.python, NNUNET_PACKAGES),
        }
        nnunet = {"versions": self.versions["nnunet"], "machine": self.machine}
        self.prepared = do("nnunet_prepare", nnunet, self.nnunet.prepare, after=["convert"])
        wanted = options.wanted_steps
        fit = {"budget_s": self.budget_s, "wanted_steps": wanted}
        self.fit = do("nnunet_fit", fit, lambda: self.nnunet.fit(wanted), after=["nnunet_prepare"])
        planar = {"versions": self.versions["planar"], "machine": self.machine, "budget_s": self.budget_s} | settings
        if options.task is not None:
            task = options.task
            self.planned = do("planar_plan", planar | {"task": _digest(task)}, lambda: self.planar.plan(task))
        else:
            bundle = find_bundle(str(options.bundle))
            train = _digest(bundle.config("train"))
            self.planned = do("planar_plan", planar | {"bundle": train}, lambda: {"bundle": str(bundle.root)})
        overrides = {"overrides": list(options.overrides)}
        bundle_path = self.planned["bundle"]
        self.measured = do("planar_measure", overrides, lambda: self.planar.measure(bundle_path), after=["planar_plan"])

    def train(self) -> None:
        """Each peer for the budget, one after the other."""
        if self.options.first == "planar":
            self._train_planar()
        if not self.fit["needed"] or self.options.own_plan:
            self._train_nnunet("nnunet", OWN_PLANS, "own")
        if self.fit["needed"]:
            self._train_nnunet("nnunet_fitted", FITTED_PLANS, self.fit["precision"])
        if self.options.first != "planar":
            self._train_planar()

    def predict(self) -> None:
        """Masks of every peer, with test-time augmentation and without."""
        for tta in (True, False):
            for peer in ("planar", *self.plans):
                self._predict(peer, tta)

    def score(self) -> Path:
        """Score every peer's masks and write the table."""
        options = self.options
        content = read_datalist(options.data)
        cases = cases_of(options.data, ["test"])
        labels = dict(enumerate(content.labels))
        entries = []
        for peer, tta, seconds in self.predicted:
            name = entry_name(peer, tta)
            about = {"bundle": name, "data": content.name, "split": "test", "trained_on": content.name}
            scores = score(cases, labels, self._masks(peer, tta), options.out / "scores" / name, about)
            entries.append(Entry(peer, self.trained[peer], seconds, scores, tta))
        facts = {
            "data": content.name,
            "data_sha256": _digest(options.data),
            "modality": content.modality,
            "cases": {part: len(content.part(part)) for part in ("training", "validation", "test")},
            "classes": list(labels.values())[1:],
            "minutes": options.minutes,
            "first": options.first,
            "machine": self.machine,
            "versions": self.versions,
            "bundle": Path(self.planned["bundle"]).name,
            "preparation": {
                "nnunet": self.prepared,
                "nnunet_fit": self.fit,
                "planar_plan": {key: value for key, value in self.planned.items() if key != "bundle"},
                "planar_measure": self.measured,
            },
            "stages": {
                name: {key: record[key] for key in ("began", "seconds", "load_before")}
                for name, record in self.stages.records.items()
            },
            "commands": self._commands(),
        }
        return write_table(entries, facts, options.out)

    def _device(self) -> str:
        """The device of both.

        Raises: InvalidOption: if only one of the two would compute on the GPU.
        """
        both = {python: has_cuda(python) for python in (sys.executable, str(self.options.python))}
        if len(set(both.values())) > 1:
            lacking = next(python for python, found in both.items() if not found)
            raise InvalidOption(
                f"The torch of {lacking} does not see the GPU that the other peer would use. Install a build for it, "
                "or hide the GPU from both with CUDA_VISIBLE_DEVICES= in front of the command."
            )
        return "cuda" if both[sys.executable] else "cpu"

    def _train_planar(self) -> None:
        bundle, epochs = self.planned["bundle"], self.measured["epochs"]
        self.trained["planar"] = self.stages.do(
            "planar_train", {"epochs": epochs}, lambda: self.planar.train(bundle, epochs), after=["planar_measure"]
        )

    def _train_nnunet(self, peer: str, plans: str, precision: str) -> None:
        self.plans[peer] = (plans, precision)
        settings = {"plans": plans, "precision": precision}
        self.trained[peer] = self.stages.do(
            f"{peer}_train", settings, lambda: self.nnunet.train(plans, precision), after=["nnunet_fit"]
        )

    def _predict(self, peer: str, tta: bool) -> None:
        masks = self._masks(peer, tta)

        def work() -> dict[str, Any]:
            if peer == "planar":
                return self.planar.predict(masks, tta=tta)
            return self.nnunet.predict(*self.plans[peer], cases_of(self.options.data, ["test"]), masks, tta=tta)

        record = self.stages.do(f"{entry_name(peer, tta)}_predict", {}, work, after=[f"{peer}_train"])
        self.predicted.append((peer, tta, record["seconds"]))

    def _commands(self) -> dict[str, dict[str, str]]:
        options = self.options
        names = {
            str(options.out.resolve()): "OUT",
            str(options.data.resolve()): "DATA",
            str(options.python.parent): "NNUNET",
            str(PLUGINS): "PLUGINS",
            str(Path(benchmarks.__file__).parent.parent): "PLANAR",
            sys.executable: "python",
        }
        folders = {"planar": self.planar.folder, "nnunet": self.environment.folder}
        return {peer: commands_in(folder / "logs", names) for peer, folder in folders.items()}

    def _masks(self, peer: str, tta: bool) -> Path:
        return self.options.out / "masks" / entry_name(peer, tta)


def _digest(path: Path) -> str:
    return file_sha256(path)
