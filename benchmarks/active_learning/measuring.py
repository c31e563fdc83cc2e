"""The rounds of all seeds and strategies, each done once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.active_learning.outcome import ALL, summary
from benchmarks.active_learning.pool import Pool
from benchmarks.active_learning.rounds import RANDOM, Settings, choose, dice_of, train_on
from benchmarks.cases import Case, cases_of
from benchmarks.machine import describe_machine
from benchmarks.stages import Stages
from pipeline.bundle import Bundle, find_bundle
from pipeline.datalist import read_datalist
from pipeline.errors import InvalidOption
from pipeline.planning import PlanOptions
from pipeline.planning.machine import Machine
from pipeline.tasks.plan import plan_bundle

__all__ = ["Asked", "measure"]

FORMAT = "planar-active-learning/1"
# All models are planned for the same machine and the same minute, wherever they are trained and for how long.
OPTIONS = PlanOptions(60.0, Machine("cpu", 2, 8.0))


@dataclass(frozen=True)
class Asked:
    """What is to be measured; the options of the command.

    Attributes:
        data: Datalist with films to choose from, and films to score.
        external: Datalist with films of other hospitals to score, or None.
        out: Folder of everything.
        task: Spec of the bundle that is planned.
        bundle: Whose fingerprint it is planned from.
        strategies: Who chooses.
        seeds: Repetitions.
        sizes: Numbers of labels, growing.
        pictures: That the network sees in a training.
        overrides: Of the train config.
    """

    data: Path
    external: Path | None
    out: Path
    task: Path
    bundle: str
    strategies: Sequence[str]
    seeds: int
    sizes: Sequence[int]
    pictures: int
    overrides: tuple[str, ...]


def measure(asked: Asked, tell: Callable[[str], None]) -> dict[str, Any]:
    """Train and score all rounds; those that were done before are taken as they are.

    Args:
        asked: What.
        tell: Called with a line as a round begins and ends.
    Returns: What `active_learning.json` holds.
    Raises: InvalidOption: if there are fewer films than are to be labelled.
    """
    names = [str(label) for label in read_datalist(asked.data).labels]
    pool = Pool(cases_of(asked.data, ["training", "validation"]), dict(enumerate(names)), asked.out / "masks")
    if asked.sizes[-1] > len(pool.cases):
        raise InvalidOption(f"{asked.data} has {len(pool.cases)} films to choose from; expected {asked.sizes[-1]}.")
    tests = {"test": cases_of(asked.data, ["test"])}
    if asked.external is not None:
        tests["external"] = cases_of(asked.external, ["test"])
    planned = plan_bundle(
        find_bundle(asked.bundle).root / "configs" / "fingerprint.json",
        asked.task,
        asked.out / "planned_segmentation",
        OPTIONS,
        overwrite=True,
    )
    settings = Settings(planned.bundle.root, asked.pictures, asked.overrides)
    stages = Stages(asked.out / "stages", tell)
    rows = [row for seed in range(asked.seeds) for row in _of_seed(asked, pool, settings, tests, stages, seed)]
    return {
        "format": FORMAT,
        "data": read_datalist(asked.data).name,
        "external": read_datalist(asked.external).name if asked.external is not None else None,
        "cases": {"pool": len(pool.cases), **{name: len(cases) for name, cases in tests.items()}},
        "seeds": asked.seeds,
        "pictures": settings.pictures,
        "image_size": planned.plan.scale.size[0],
        "overrides": list(asked.overrides),
        "machine": describe_machine(),
        "seconds": round(sum(record["seconds"] for record in stages.records.values())),
        "summary": summary(rows),
        "rounds": rows,
    }


def _of_seed(
    asked: Asked, pool: Pool, settings: Settings, tests: Mapping[str, Sequence[Case]], stages: Stages, seed: int
) -> list[dict[str, Any]]:
    """All rounds of a seed, whose strategies begin with the same films and the same model."""
    rounds = asked.out / "rounds"

    def scored(name: str, labelled: list[str], before: Sequence[str] = ()) -> dict[str, Any]:
        said = {"seed": seed, "pictures": settings.pictures, "overrides": settings.overrides, "labelled": labelled}
        work = partial(_trained_and_scored, pool, labelled, rounds / name, settings, seed, tests)
        return stages.do(name, said, work, after=before)

    def chosen(name: str, labelled: list[str], size: int, model: str, strategy: str) -> list[str]:
        def work() -> dict[str, Any]:
            return {"labelled": choose(pool, labelled, size, rounds / model, strategy, seed)}

        after = [model] if model in stages.keys else []
        found = stages.do(name, {"size": size, "strategy": strategy, "seed": seed}, work, after=after)
        return [str(film) for film in found["labelled"]]

    start = f"seed{seed}-start"
    first = chosen(f"{start}-choice", [], asked.sizes[0], f"{start}-choice", RANDOM)
    found = scored(start, first, [f"{start}-choice"])
    rows = [{"seed": seed, "strategy": name, "labels": asked.sizes[0], **found} for name in asked.strategies]
    for strategy in asked.strategies:
        labelled, model = first, start
        for size in asked.sizes[1:]:
            name = f"seed{seed}-{strategy}-{size}"
            labelled = chosen(f"{name}-choice", labelled, size, model, strategy)
            found = scored(name, labelled, [f"{name}-choice"])
            rows.append({"seed": seed, "strategy": strategy, "labels": size, **found})
            model = name
    found = scored(f"seed{seed}-{ALL}", [case.name for case in pool.cases])
    return [*rows, {"seed": seed, "strategy": ALL, "labels": len(pool.cases), **found}]


def _trained_and_scored(
    pool: Pool,
    labelled: Sequence[str],
    folder: Path,
    settings: Settings,
    seed: int,
    tests: Mapping[str, Sequence[Case]],
) -> dict[str, Any]:
    counts = train_on(pool, labelled, folder, settings, seed)
    bundle = Bundle(folder / "bundle", "bundle")
    return {**counts, **{name: fmean(dice_of(cases, bundle)) for name, cases in tests.items()}}
