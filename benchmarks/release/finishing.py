"""What makes a trained bundle a release: the cost of half precision, its card, its record, its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.release.commands import Commands
from benchmarks.release.half import difference, write_both
from benchmarks.release.install import Made, card_by_hand, card_to_fill, install
from benchmarks.release.united_pack import pack_united
from pipeline.atomic import write_text_aside
from pipeline.digests import file_sha256
from pipeline.errors import InvalidOption
from pipeline.tracking import RunStore

__all__ = ["Finishing"]


class Finishing(Commands):
    """The last steps of a release."""

    def half(self) -> dict[str, Any]:
        """What float16 costs in Dice, on the test part of the first list that is scored."""
        folder = self.setting.out / "half" / self.release.name

        def write() -> Mapping[str, Any]:
            return {"weights": write_both(self.trained / "models", folder)}

        which = self.stages.do("half", {}, write, after=["train"])
        data = self.list_of(self.release.scored[0])
        for name in ("full", "half"):
            scored = ["--no-tracking", "--no-masks", "--overwrite", "-o", folder / name]
            words = ["evaluate", self.trained, "--data", data, "--checkpoint", folder / f"{name}.pt", *scored]
            self.step(f"half_{name}", words, None, ["half"])
        return which | difference(folder / "full", folder / "half")

    def card(self, united: Mapping[str, Mapping[str, Any]], half: Mapping[str, Any]) -> None:
        """The model card: written from the record, with a hand-written end."""
        by_hand = card_by_hand(self.release.name, united, half)

        def write() -> Mapping[str, Any]:
            write_text_aside(self.trained / "docs" / "README.md", card_to_fill(by_hand))
            return {}

        after = [f"evaluate_{name}" for name in self.release.scored]
        self.stages.do("card_end", {"by_hand": by_hand}, write, after=after)
        self.step("card", ["card", self.run_id(), "--into", self.trained, "--overwrite"], None, ["card_end"])

    def packs(self) -> dict[str, Path]:
        """The records of the training and of the evaluation that counts, without weights and pictures; each holds."""
        first = self.release.scored[0]
        wanted = {"run": (self.run_id(), self.release.training), "test": (self.test_run_id(), first)}
        return {
            name: self.pack(name, run_id, data, self.trained / "models" / "model.pt", ["card"])
            for name, (run_id, data) in wanted.items()
        }

    def pack(self, name: str, run_id: str, data: str, weights: Path, after: Sequence[str]) -> Path:
        """The record of one run without weights and pictures, checked with the weights that it is of."""
        path = self.pack_path(name)
        packed = ["--no-weights", "--no-pictures", "--overwrite", "-o", path]
        self.step(f"pack_{name}", ["audit", "export", run_id, *packed], None, after)
        given = ["--data", self.list_of(data), "--checkpoint", weights]
        self.step(f"verify_{name}", ["audit", "verify", path, *given], None, [f"pack_{name}"])
        return path

    def pack_path(self, name: str) -> Path:
        """Where a pack of this release is made."""
        path = self.setting.out / "packs" / f"{self.release.name}_{name}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def packs_beside(self, recipe: Path | None) -> dict[str, Path]:
        """The recipe's training and test, and the tables of joined classes, as far as there are any.

        Args:
            recipe: The bundle that the recipe has trained, if it was.
        """
        found = {}
        weights = recipe / "models" / "model.pt" if recipe is not None else None
        if weights is not None and weights.is_file():
            first = self.release.scored[0]
            run_id = self.evaluation_of(weights)
            found["recipe"] = self.pack("recipe", run_id, first, weights, [f"evaluate_recipe_{first}"])
        if self.joined:
            found["united"] = self.pack_path("united")
            pack_united(self.joined, found["united"])
        return found

    def evaluation_of(self, weights: Path) -> str:
        """The latest finished evaluation of some weights."""
        tags = {"planar.kind": "evaluation", "planar.model_sha256": file_sha256(weights)}
        runs = [run for run in RunStore(self.store).runs(tags=tags) if run.info.status == "FINISHED"]
        if not runs:
            raise InvalidOption(f"{self.store}: has no evaluation of {weights}. Evaluate them again.")
        return str(runs[0].info.run_id)

    def test_run_id(self) -> str:
        """The run of the first evaluation that the card speaks of."""
        metadata = json.loads((self.trained / "configs" / "metadata.json").read_text(encoding="utf-8"))
        return str(metadata["planar"]["record"]["evaluations"][""])

    def install(self, found: Mapping[str, Any], packs: Mapping[str, Path]) -> None:
        """Put the bundle where it is committed."""
        bundles = self.setting.bundles
        assert bundles is not None
        reports = {}
        for name in self.release.scored:
            evaluation = self.setting.out / "evaluations" / f"{self.trained.name}_{name}"
            reports[name] = self.setting.out / "reports" / f"{self.release.name}_{name}.html"
            reports[name].parent.mkdir(parents=True, exist_ok=True)
            # Without --data: a page without pictures.
            words = ["report", evaluation, "--bundle", self.trained, "-o", reports[name], "--overwrite"]
            self.step(f"small_report_{name}", words, None, [f"evaluate_{name}"])
        made = Made(self.bundle, self.trained, reports, packs, found)

        def work() -> Mapping[str, Any]:
            return {"bundle": str(install(made, self.release.name, bundles))}

        after = [
            *(f"verify_{name}" for name in packs if name != "united"),
            *(f"small_report_{name}" for name in reports),
        ]
        self.stages.do("install", {"into": str(bundles), "found": found, "packs": _digests(packs)}, work, after=after)


def _digests(packs: Mapping[str, Path]) -> dict[str, str]:
    return {name: file_sha256(path) for name, path in packs.items() if path.is_file()}
