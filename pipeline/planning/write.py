"""A plan as a bundle on disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import __version__
from pipeline.atomic import replace_folder
from pipeline.errors import OutputExists
from pipeline.planning.choice import Step, flow
from pipeline.planning.network import rare_class
from pipeline.planning.plan import Plan

__all__ = ["bundle_files", "write_bundle"]

CONFIGS = ("train", "multi_gpu_train", "evaluate", "inference")
OTHERS = ("configs/tracking.json", "configs/logging.conf", "docs/README.md", "docs/data_license.txt", "LICENSE")
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
# Of constraints.txt, and not what is installed: the same plan is the same bundle wherever it is made.
TESTED = {
    "monai": "1.6.1",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "pytorch-ignite": "0.5.5",
    "pydicom": "3.0.2",
    "nibabel": "5.4.2",
    "SimpleITK": "2.5.7",
}
LINE = 120
METADATA = "configs/metadata.json"
QUALITY = "configs/quality.yaml"
# What a training, an evaluation or a person has written into the metadata.
HISTORY = ("version", "changelog", "description", "data_source", "eval_metrics", "references", "name", "authors")
# Of its "planar", by the data and the runs that the weights and the scores are of.
OF_TRAINING = ("record", "trained_on_sha256")


def write_bundle(plan: Plan, out: Path, rules: Mapping[str, Any], *, overwrite: bool = False) -> list[str]:
    """Write a bundle; it appears under its name when it is whole, and takes the place of a former one at once.

    Args:
        plan: What was chosen.
        out: Its folder. With `overwrite` all that lies in it stays but for the configs.
        rules: Of plausibility, for `configs/quality.yaml`; see `pipeline.gate.default_rules`.
        overwrite: Whether a bundle that is there may be planned again.
    Returns: What the user should know.
    Raises: OutputExists: if `out` is there and not empty, or is no bundle.
    """
    out = out.resolve()
    again = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if again and not overwrite:
        raise OutputExists(f"{out} exists. Give another folder with -o, or --overwrite to plan it again.")
    if again and not (out / "configs").is_dir():
        what = "a folder without configs, so no bundle" if out.is_dir() else "a file"
        raise OutputExists(f"{out} is {what}; --overwrite plans a bundle again. Give another folder with -o.")
    files = bundle_files(plan, out.name, rules)
    files[METADATA] = _keeping_history(files[METADATA], out / METADATA)
    aside = out.parent / f".part-{os.getpid()}-{out.name}"
    shutil.rmtree(aside, ignore_errors=True)
    notes: list[str] = []
    try:
        if again:
            shutil.copytree(out, aside, symlinks=True, copy_function=_linked)
            notes += _keep_rules(aside / QUALITY, files[QUALITY])
            # Documents of a trained bundle are its model card: they are not planned again.
            files = {name: text for name, text in files.items() if name.startswith("configs/") or _lacks(aside, name)}
        for name, text in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).unlink(missing_ok=True)  # it may be the former bundle's very file
            (aside / name).write_text(text, encoding="utf-8", newline="\n")
        (aside / "models").mkdir(exist_ok=True)
        replace_folder(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return notes


def _linked(source: str, target: str) -> None:
    """The same file under another name, which costs nothing; a copy where the disk has no such thing."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _lacks(folder: Path, name: str) -> bool:
    return not (folder / name).exists()


def _keep_rules(quality: Path, planned: str) -> list[str]:
    """Keep rules of plausibility that are not the planned ones, for a person may have written them, and say so."""
    if not quality.is_file() or quality.read_text(encoding="utf-8", errors="replace") == planned:
        return []
    quality.replace(quality.with_name(f"{quality.name}.old"))
    return [
        f"{QUALITY} was edited, or the data have changed: it is planned again, and the former one kept as "
        f"{QUALITY}.old. Copy from there what should stay."
    ]


def _keeping_history(planned: str, existing: Path) -> str:
    """The planned metadata with what has been added to those of the bundle that is there."""
    try:
        before = json.loads(existing.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return planned
    content = json.loads(planned) | {key: before[key] for key in HISTORY if key in before}
    # Of which data and runs weights and scores are.
    of_training = before["planar"] if isinstance(before.get("planar"), dict) else {}
    content["planar"] |= {key: of_training[key] for key in OF_TRAINING if key in of_training}
    return _json(content)


def bundle_files(plan: Plan, name: str, rules: Mapping[str, Any]) -> dict[str, str]:
    """Relative path → content of each file of the bundle; the same plan gives the same bytes.

    Args:
        plan: What was chosen.
        name: Of the bundle, which is its folder's.
        rules: Of plausibility, for `configs/quality.yaml`; see `pipeline.gate.default_rules`.
    """
    content = _content(plan, name)
    environment = _environment()
    files = {
        f"configs/{kind}.yaml": environment.get_template(
            f"{'train' if kind == 'multi_gpu_train' else kind}.yaml.j2"
        ).render(**content, ddp=kind == "multi_gpu_train")
        for kind in CONFIGS
    }
    for static in (
        "configs/tracking.json",
        "configs/logging.conf",
        "docs/README.md",
        "docs/data_license.txt",
        "LICENSE",
    ):
        files[static] = environment.get_template(f"{Path(static).name}.j2").render(**content)
    files[METADATA] = _json(_metadata(plan))
    # With it the bundle can be planned again without the pictures, and a report can tell of the data.
    files["configs/fingerprint.json"] = plan.fingerprint.without_names().to_json()
    files["configs/plan.json"] = _json(_record(plan))
    files[QUALITY] = environment.get_template("quality.yaml.j2").render(rules=rules)
    return files


def _content(plan: Plan, name: str) -> dict[str, Any]:
    return {
        "plan": plan,
        "name": name,
        "title": plan.spec.description or plan.spec.name,
        "schedule": plan.schedule,
        "steps": plan.steps(),
        # Of what is cut out of pictures: the z-score in two halves, with the same options.
        "measure": Step("pipeline.transforms.PictureStatisticsd", plan.normalisation.standardise.image),
        "normalise_part": Step("pipeline.transforms.NormalizeAsPictured", plan.normalisation.standardise.image),
        "channels": plan.normalisation.channels,
        "labels": flow(dict(enumerate(plan.spec.labels))),
        "patches": plan.scale.mode == "patch",
        "neighbours": f", neighbours: {plan.spec.neighbours}" if plan.spec.neighbours else "",
        "unions": flow(plan.spec.union_numbers) if plan.spec.unions else "",
        "rare": rare_class(plan.fingerprint.document) if len(plan.spec.labels) > 2 else None,
        "square": plan.scale.size[0] == plan.scale.size[1],
        "one_size": plan.scale.mode == "longest" and plan.scale.size[0] == plan.scale.size[1],
        "tolerance": max(1.0, round(0.01 * plan.fingerprint["size"]["longest"]["median"]) / 2),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.planning"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # YAML and text, no HTML
    )
    environment.filters["flow"] = flow
    environment.filters["yaml_step"] = lambda step, indent: _entry(step, indent, with_label=True)
    environment.filters["yaml_image_step"] = lambda step, indent: _entry(step, indent, with_label=False)
    environment.filters["yaml_entry"] = lambda step, key, indent: f"{' ' * indent}{key}: {step.line(with_label=False)}"
    environment.filters["comment"] = _comment
    return environment


def _entry(step: Step, indent: int, *, with_label: bool) -> str:
    space = " " * indent
    lines = _comment(step.why, indent).splitlines() if step.why else []
    return "\n".join([*lines, f"{space}- {step.line(with_label)}"])


def _comment(text: str, indent: int = 0) -> str:
    """Text as comment lines of at most 120 columns, the first letter large and a full stop at the end."""
    import textwrap

    sentence = f"{text[:1].upper()}{text[1:]}"
    sentence += "" if sentence.endswith(".") else "."
    space = " " * indent
    return textwrap.fill(
        sentence, LINE, initial_indent=f"{space}# ", subsequent_indent=f"{space}# ", break_on_hyphens=False
    )


def _metadata(plan: Plan) -> dict[str, Any]:
    """`metadata.json`, for what training does not change."""
    labels = dict(enumerate(plan.spec.labels))
    named = ", ".join(f"{index} {label}" for index, label in labels.items())
    fingerprint = plan.fingerprint
    size = list(plan.scale.size)
    channels = plan.normalisation.channels
    reach = plan.spec.neighbours
    if reach:
        names = {str(k): f"slice {k - reach:+d}" if k != reach else "slice" for k in range(channels)}
    else:
        names = {"0": "image"} if channels == 1 else {"0": "red", "1": "green", "2": "blue"}
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"Planned on {fingerprint.name}"},
        "monai_version": TESTED["monai"],
        "pytorch_version": TESTED["torch"],
        "numpy_version": TESTED["numpy"],
        "required_packages_version": {
            "planar": __version__,
            **{name: TESTED[name] for name in ("pytorch-ignite", "pydicom", "nibabel", "SimpleITK")},
        },
        "name": plan.spec.title or plan.spec.name.replace("_", " "),
        "task": plan.spec.description,
        "description": f"A 2D U-Net for: {plan.spec.description}. Planned on {fingerprint.name}.",
        "authors": "The Planar authors",
        "copyright": "Copyright (c) The Planar authors",
        "data_source": fingerprint.name,
        "data_type": "DICOM, NIfTI, MHA, NRRD, PNG, JPEG, TIFF or BMP",
        "image_classes": _described(names),
        "label_classes": f"single channel, {named}",
        "pred_classes": f"{len(labels)} channels, {named}",
        "eval_metrics": {},
        "intended_use": "Research. Not a medical device; not for diagnosis.",
        "planar": {
            "task": plan.spec.name,
            "fingerprint_sha256": fingerprint.sha256,
            **({} if plan.spec.sides is None else {"sides": plan.spec.sides}),
        },
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude" if channels == 1 or reach else "rgb",
                    "modality": plan.modality,
                    "num_channels": channels,
                    "spatial_shape": size,
                    "dtype": "float32",
                    "value_range": [-6, 6],
                    "is_patch_data": plan.scale.mode == "patch",
                    "channel_def": names,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": len(labels),
                    "spatial_shape": size,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": plan.scale.mode == "patch",
                    "channel_def": {str(index): label for index, label in labels.items()},
                }
            },
        },
    }


def _described(names: Mapping[str, str]) -> str:
    count = {1: "one channel", 3: "three channels"}.get(len(names), f"{len(names)} channels")
    return count if len(names) == 1 else f"{count}, {', '.join(names.values())}"


def _record(plan: Plan) -> dict[str, Any]:
    """`plan.json`: what the plan was made from, and its choices in one table."""
    options = plan.options
    return {
        "format": "planar-plan/1",
        "planar": __version__,
        "task": plan.spec.name,
        "fingerprint_sha256": plan.fingerprint.sha256,
        "options": {
            "budget_s": options.budget_s,
            "device": options.machine.device,
            "cores": options.machine.cores,
            "memory_gb": options.machine.memory_gb,
            "max_parameters": options.max_parameters,
            "seed": options.seed,
        },
        "parameters": plan.network.parameters,
        "choices": [{"choice": name, "value": value, "why": why} for name, value, why in plan.table(written=True)],
    }


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
