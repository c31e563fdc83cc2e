"""Plans for several data sets side by side, each tried out: checked by MONAI, trained for an epoch, and applied.

python -m benchmarks.plans --set NAME DATALIST TASK … --out FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.commands import run_logged
from benchmarks.entry import run
from pipeline.atomic import write_text_aside
from pipeline.datalist import load_cases
from pipeline.fingerprint import Fingerprint
from pipeline.history import read_history
from pipeline.planning import Machine, Plan, PlanOptions, make_plan, parse_duration, read_task_spec

PLANAR = (Path(sys.executable).with_name("planar"),)
CHECK = """
import sys
from monai.bundle import ConfigWorkflow
root, data, datalist = sys.argv[1:]
for kind, way in (("train", "train"), ("inference", "infer"), ("evaluate", "eval")):
    flow = ConfigWorkflow(
        config_file=f"{root}/configs/{kind}.yaml", workflow_type=way, meta_file=f"{root}/configs/metadata.json",
        logging_file=False, bundle_root=root, dataset_dir=data, datalist=datalist, cache_rate=0.0)
    flow.initialize()
    missing = flow.check_properties()
    assert not missing, (kind, missing)
"""


@dataclass(frozen=True)
class Tried:
    """A plan and what came of it.

    Attributes:
        name: Of the set.
        task: The spec's file.
        plan: The choices.
        dice: Mean validation Dice after the one epoch.
        masks: Masks that the bundle wrote for the images it was applied to.
        lines: Of the spec, without comments and empty lines.
    """

    name: str
    task: Path
    plan: Plan
    dice: float
    masks: int
    lines: int


def try_out(name: str, datalist: Path, task: Path, folder: Path, options: PlanOptions) -> Tried:
    """Plan, check, train for one epoch, infer two images; each by the command that a user has.

    Raises: PeerError: for the first of them that does not end well.
    """
    bundle, trained, logs = folder / f"{name}_segmentation", folder / f"{name}_trained", folder / "logs"
    machine = options.machine
    run_logged(
        [*PLANAR, "plan", datalist, "--task", task, "-o", bundle, "--budget", f"{options.budget_s:g}s",
         "--device", machine.device, "--cores", str(machine.cores), "--memory", f"{machine.memory_gb:g}",
         "--seed", str(options.seed)],
        logs / f"{name}_plan.log",
    )  # fmt: skip
    images = [item["image"] for item in load_cases(datalist, "validation")[:2]]
    run_logged([sys.executable, "-c", CHECK, bundle, Path(images[0]).parent, datalist], logs / f"{name}_check.log")
    run_logged(
        [
            *PLANAR,
            "train",
            bundle,
            "--data",
            datalist,
            "-o",
            trained,
            "--no-tracking",
            "max_epochs=1",
            "val_interval=1",
        ],
        logs / f"{name}_train.log",
    )
    masks = folder / f"{name}_masks"
    run_logged([*PLANAR, "infer", trained, *images, "-o", masks], logs / f"{name}_infer.log")
    plan = make_plan(
        Fingerprint.from_json((bundle / "configs" / "fingerprint.json").read_text(encoding="utf-8"), str(bundle)),
        read_task_spec(task),
        options,
    )
    history = read_history(trained / "models" / "history.csv")
    lines = [line for line in task.read_text(encoding="utf-8").splitlines() if line.split("#")[0].strip()]
    return Tried(name, task, plan, history[-1]["val_mean_dice"], len([*masks.glob("*.png")]), len(lines))


def markdown(tried: list[Tried], options: PlanOptions) -> str:
    """One row a set, then the reason of each choice, set by set."""
    machine = options.machine
    head = (
        "| set | cases | input | normalisation | network | batch | epochs | class weights | flips | checked | Dice "
        "after one epoch |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    rows, reasons = [], []
    for one in tried:
        cases, table = one.plan.fingerprint["cases"], one.plan.table()
        value = {name: what for name, what, _ in table}
        parameters = f"{one.plan.network.parameters / 1e6:.2f} M"
        rows.append(
            f"| {one.name} | {cases['training']} + {cases['validation']} | {value['input']} | "
            f"{value['normalisation']} | "
            f"{value['network'].removeprefix('U-Net ')}, {parameters} | {value['batch']} | {value['epochs']} | "
            f"{value['class weights']} | {value['flips']} | passed, {one.masks} masks | {one.dice:.3f} |"
        )
        reasons += [f"\n## {one.name}\n\n`{one.task.name}`, {one.lines} lines.\n"]
        reasons += [f"- **{name}{': ' if what else ''}{what}**: {why}" for name, what, why in table]
    return (
        "# Plans\n\nBy `python -m benchmarks.plans`: what `planar plan` chooses for each set "
        f"({machine.device}, {machine.cores} cores, {machine.memory_gb:g} GB, {options.budget_s / 60:g} minutes, seed "
        f"{options.seed}), checked by MONAI's `check_properties`, trained for one epoch, applied to two validation "
        "images. One epoch shows that it runs, not how good it is.\n\n" + "\n".join([head, *rows, *reasons]) + "\n"
    )


@click.command()
@click.option("--set", "sets", type=(str, Path, Path), multiple=True, required=True, metavar="NAME DATALIST TASK")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the bundles and of plans.md.")
@click.option("--budget", default="30min", show_default=True)
@click.option("--cores", default=2, show_default=True)
@click.option("--memory", default=8.0, show_default=True, help="GB.")
def main(sets: tuple[tuple[str, Path, Path], ...], out: Path, budget: str, cores: int, memory: float) -> None:
    """Plan for each set, try the plans out, and write a table of the choices with their reasons."""
    if out.exists() and any(out.iterdir()):
        raise click.UsageError(f"{out} is not empty; give a new folder.")
    options = PlanOptions(parse_duration(budget), Machine("cpu", cores, memory))
    tried = []
    for name, datalist, task in sets:
        click.echo(f"{name} …")
        tried.append(try_out(name, datalist, task, out, options))
        click.echo(f"{name}: Dice {tried[-1].dice:.3f} after one epoch, {tried[-1].masks} masks")
    write_text_aside(out / "plans.md", markdown(tried, options))
    click.echo(f"Table: {out / 'plans.md'}")


if __name__ == "__main__":
    run(main, "python -m benchmarks.plans")
