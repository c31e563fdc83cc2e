"""The commands that make a bundle, one after the other; each is what a user gives."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machine import describe_machine
from benchmarks.release.against import dice_against, require_same_cases
from benchmarks.release.commands import Setting
from benchmarks.release.half import count_parameters
from benchmarks.release.parts import write_parts
from benchmarks.release.phantoms import WithPhantoms
from benchmarks.release.releases import Release, Source
from benchmarks.release.united import score_united
from pipeline.atomic import write_text_aside, written_aside
from pipeline.bundle import find_bundle
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidBundle
from pipeline.planning import read_task_spec

__all__ = ["beside", "make", "seconds_before"]


def make(release: Release, setting: Setting, tell: Callable[[str], None]) -> dict[str, Any]:
    """Make one bundle; what was done before with the same settings is not done again.

    Returns: Seconds, parameters and the scores by datalist.
    """
    return _Making(release, setting, tell).run()


def beside(release: Release, setting: Setting, tell: Callable[[str], None]) -> dict[str, Any]:
    """Run the recipe on the split of a bundle that is released already, and add it to the bundle's record.

    Returns: The record.
    Raises: InvalidBundle: if the bundle is not released.
    """
    return _Making(release, setting, tell).add_recipe()


class _Making(WithPhantoms):
    def add_recipe(self) -> dict[str, Any]:
        release, bundles = self.release, self.setting.bundles
        assert bundles is not None
        self.bundle = self.trained = find_bundle(bundles / release.name).root
        path = self.bundle / "docs" / "release.json"
        if not path.is_file():
            raise InvalidBundle(f"{path} is not there: without --recipes-alone the bundle is made and released.")
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.make_lists()
        if release.recipe is None:
            return record
        self.stages.do("plan", {"bundle": str(self.bundle)}, dict)  # the step that recipes build on; here it is done
        first = release.scored[0]
        scores = self.evaluate(first, self.trained, first, [f"index_{name}" for name in release.sources])
        require_same_cases(release.name, record["scores"][first], scores)
        for name, union in release.united.items():
            joined = self.unite(name, union, self.trained, name, [f"evaluate_{first}"])
            require_same_cases(release.name, record["scores"][f"{name}, {union}"], joined)
        record["recipe"] = self.recipe(release.recipe)
        for what, pack in self.packs_beside(self.recipe_folder()).items():
            with written_aside(path.with_name(f"{what}.zip")) as aside:
                shutil.copyfile(pack, aside)
        write_text_aside(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return record

    def recipe_folder(self) -> Path:
        """Where the recipe's bundle is trained."""
        return self.setting.out / "trained" / f"{self.release.name}_{self.release.recipe}"

    def make_lists(self) -> None:
        """The datalists, joined where the release has it."""
        release = self.release
        self.lists.mkdir(parents=True, exist_ok=True)
        for name, source in release.sources.items():
            self.make_list(name, source)
        if release.merged:
            unions = [word for union in release.unions for word in ("--union", union)]
            joined = [self.list_of(name) for name in release.merged]
            after = [f"index_{name}" for name in release.merged]
            self.step(
                "merge", ["merge", *joined, *unions, "-o", self.list_of(release.training), "--overwrite"], None, after
            )

    def run(self) -> dict[str, Any]:
        release = self.release
        self.make_lists()
        if self.setting.lists_only:
            return {}
        before = [f"index_{name}" for name in release.sources] + (["merge"] if release.merged else [])
        fingerprint = self.lists / f"{release.name}_fingerprint.json"
        self.step(
            "inspect", ["inspect", self.list_of(release.planned_from), "-o", fingerprint, "--overwrite"], None, before
        )
        budget = ("--budget", f"{self.minutes:g}min", *self.setting.machine)
        self.step(
            "plan",
            ["plan", fingerprint, "--task", self.task, *budget, "-o", self.bundle, "--overwrite"],
            None,
            ["inspect"],
        )
        whole = self.list_of(release.training)
        overrides = (*self.repeats(), *self.setting.overrides)
        from_phantoms = release.phantoms and self.setting.start_from is None
        given = ("--start-from", self.setting.start_from) if self.setting.start_from is not None else ()
        start = self.start(read_task_spec(self.task).labels) if from_phantoms else given
        trainings = ["train", *(["train_phantoms"] if from_phantoms else [])]
        begun = self.setting.start_from
        # Noted once: the released bundle is this one's former state, and will be this one.
        earlier = self.stages.do("earlier", {"from": begun}, lambda: {"seconds": seconds_before(begun)}, after=["plan"])
        self.step(
            "train", ["train", self.bundle, "--data", whole, "-o", self.trained, *start, *overrides],
            self.trained, ["plan", *before, *trainings[1:]],
        )  # fmt: skip
        self.step(
            "calibrate", ["calibrate", self.trained, "--data", self.scored_list(), "--overwrite"], None, ["train"]
        )
        scores = {name: self.evaluate(name, self.trained, name, ["calibrate"]) for name in release.scored}
        united = {
            f"{name}, {union}": self.unite(name, union, self.trained, name, ["calibrate"])
            for name, union in release.united.items()
        }
        half = self.half()
        self.card(united, half)
        if release.series:
            self.infer_series()
        found = {
            "seconds": earlier["seconds"] + sum(self.stages.records[name]["seconds"] for name in trainings),
            "parameters": json.loads((self.bundle / "configs" / "plan.json").read_text(encoding="utf-8"))["parameters"],
            "scores": scores | united,
            "half": half,
            "machine": _machine(),
            "names": {name: read_datalist(self.list_of(name)).name for name in release.scored},
        }
        if self.setting.recipes and release.recipe is not None:
            found["recipe"] = self.recipe(release.recipe)
        packs = self.packs() | self.packs_beside(self.recipe_folder() if "recipe" in found else None)
        if self.setting.bundles is not None:
            self.install(found, packs)
        return found

    def scored_list(self) -> Path:
        """The list whose validation part has all classes: of joined lists the first, where there are unions."""
        return self.list_of(self.release.scored[0] if self.release.unions else self.release.training)

    def repeats(self) -> tuple[str, ...]:
        """An override for a list that is larger than the one that was planned from: an epoch stays as long as planned.

        A plan takes each picture several times where they are few; more pictures are to be taken fewer times.
        """
        release = self.release
        if release.training == release.planned_from:
            return ()
        planned = yaml.safe_load((self.bundle / "configs" / "train.yaml").read_text(encoding="utf-8")).get("repeats", 1)
        few, many = (
            len(load_cases(self.list_of(name), "training")) for name in (release.planned_from, release.training)
        )
        return (f"repeats={max(1, round(planned * few / many))}",) if planned > 1 else ()

    def make_list(self, name: str, source: Source) -> None:
        """Index a set; where its usual split validates too few, once more with a table that says who does."""
        subjects: tuple[str, ...] = ()
        if source.blocks:
            subjects = ("--subjects", f"{self.blocks(name, source)}:block")
        elif source.subjects:
            subjects = ("--subjects", f"{self.setting.data / source.folder / 'index.csv'}:{source.subjects}")
        wanted = source.validation
        if wanted is None:
            self.step(f"index_{name}", self.index(name, source, *subjects), None)
            return
        usual, table = self.list_of(f"{name}_usual"), self.lists / f"{name}_validation_{wanted}.csv"
        self.step(f"index_{name}_usual", self.index(f"{name}_usual", source, *subjects), None)

        def tell_parts() -> Mapping[str, Any]:
            write_parts(usual, wanted, table)
            return {"table": str(table)}

        self.stages.do(f"parts_{name}", {"validation": wanted}, tell_parts, after=[f"index_{name}_usual"])
        told = ("--subjects", f"{table}:subject", "--split-column", "part")
        self.step(f"index_{name}", self.index(name, source, *told), None, [f"parts_{name}"])

    def index(self, name: str, source: Source, *subjects: str) -> list[str | Path]:
        folder = self.setting.data / source.folder
        options = [option.format(**self.names) for option in source.options]
        written = ("-o", self.list_of(name), "--overwrite")
        return ["index", folder / "images", folder / source.masks, *options, *subjects, *written]

    def blocks(self, name: str, source: Source) -> Path:
        """A table in which neighbouring slices are one subject."""
        with (self.setting.data / source.folder / "index.csv").open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        path = self.lists / f"{name}_blocks.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "block"))
            writer.writerows((row["file"], number // source.blocks) for number, row in enumerate(rows))
        return path

    def evaluate(self, name: str, bundle: Path, label: str, after: Sequence[str]) -> Mapping[str, Any]:
        folder = self.setting.out / "evaluations" / f"{bundle.name}_{name}"
        datalist = self.list_of(name)
        self.step(
            f"evaluate_{label}", ["evaluate", bundle, "--data", datalist, "-o", folder, "--overwrite"], None, after
        )
        pictures = self.setting.out / "pictures" / folder.name
        shown = ["report", folder, "--bundle", bundle, "--data", datalist, "--pictures", pictures, "--overwrite"]
        self.step(f"report_{label}", shown, None, [f"evaluate_{label}"])
        return self.figures(folder)

    def unite(self, name: str, union: str, bundle: Path, label: str, after: Sequence[str]) -> Mapping[str, Any]:
        """Scores of the joined classes on the test part, from the masks of `planar infer`."""
        masks = self.setting.out / "masks" / f"{bundle.name}_{name}"
        images = [item["image"] for item in load_cases(self.list_of(name), "test")]
        self.step(f"infer_{label}", ["infer", bundle, *images, "-o", masks, "--overwrite"], None, after)
        folder = self.setting.out / "evaluations" / f"{bundle.name}_{name}_{_name_of(union)}"
        labels = list(read_task_spec(self.task).labels)
        score_united(self.list_of(name), labels, masks, union, folder, bundle.name, bundle / "models" / "model.pt")
        self.joined.append(folder)
        return self.figures(folder)

    def infer_series(self) -> None:
        """Masks of the CT series, DICOM and NIfTI, to be looked at; of one there are lobes to compare with."""
        series = self.setting.data / "ct_series"
        out = self.setting.out / "masks" / f"{self.release.name}_series"
        inputs = [series / "dicom", *sorted((series / "nifti").glob("*.nii.gz"))]
        self.step(
            "infer_series", ["infer", self.trained, *inputs, "-o", out, "--overlay", "--overwrite"], None, ["calibrate"]
        )
        lobes = sorted((series / "lobes").glob("*.nii.gz"))
        found = sorted(out.rglob("*_sm*_mask.nii.gz"))
        if lobes and found and "lung" in read_task_spec(self.task).labels:
            lung = read_task_spec(self.task).labels.index("lung")
            self.stages.do("lobes", {}, lambda: {"dice": _volume_dice(found[0], lung, lobes)}, after=["infer_series"])

    def recipe(self, name: str) -> dict[str, Any]:
        """The published settings on the same split, and both side by side."""
        folder = self.recipe_folder()
        first = self.release.scored[0]
        self.step(
            "recipe_train", ["train", self.bundle, "--data", self.list_of(first), "--recipe", name, "-o", folder,
                             *self.release.recipe_overrides],
            folder, ["plan"],
        )  # fmt: skip
        figures = self.evaluate(first, folder, f"recipe_{first}", ["recipe_train"])
        evaluations = [self.setting.out / "evaluations" / f"{one.name}_{first}" for one in (folder, self.trained)]
        if first in self.release.united:
            union = self.release.united[first]
            evaluations = [*evaluations, *(one.with_name(f"{one.name}_{_name_of(union)}") for one in evaluations)]
            joined = self.unite(first, union, folder, f"recipe_{first}", ["recipe_train"])
            figures = {**figures, **{label: found for label, found in joined.items() if label != "mean_of_classes"}}
        page = self.setting.out / f"{self.release.name}_{name}.html"
        self.step(
            "compare", ["compare", *evaluations[:2], "-o", page, "--overwrite"], None, [f"evaluate_recipe_{first}"]
        )
        return {
            "name": name,
            "seconds": self.stages.records["recipe_train"]["seconds"],
            "parameters": count_parameters(folder / "models" / "model.pt"),
            "machine": _machine(),
            "overrides": list(self.release.recipe_overrides),
            "why": self.release.recipe_why if self.release.recipe_overrides else "",
            "data": first,
            "scores": figures,
            "against": dice_against(evaluations[::2], evaluations[1::2]),
        }


def _name_of(union: str) -> str:
    """Of "disc=disc_rim,cup" the disc."""
    return union.partition("=")[0]


def seconds_before(start_from: str | None) -> float:
    """Seconds of training that went into the weights of a released bundle; 0 where no record says.

    Args:
        start_from: Bundle or file of weights, as `planar train --start-from` takes it.
    """
    if start_from is None or Path(start_from).is_file():
        return 0.0
    record = find_bundle(start_from).root / "docs" / "release.json"
    return float(json.loads(record.read_text(encoding="utf-8"))["seconds"]) if record.is_file() else 0.0


def _machine() -> str:
    found = describe_machine()
    return f"{found['processor']}, {found['cores']} cores" + (f", {found['gpu']}" if found["gpu"] else "")


def _volume_dice(mask: Path, lung: int, lobes: Sequence[Path]) -> float:
    """Dice of a volume of classes with the union of lobes, on the mask's grid."""
    import nibabel

    found = nibabel.load(mask).get_fdata() == lung
    expected = sum(nibabel.load(path).get_fdata() > 0.5 for path in lobes) > 0
    return float(2 * (found & expected).sum() / (found.sum() + expected.sum()))
