"""Score a bundle on one split of a datalist, on each image's own grid."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle, checked_overrides, find_bundle
from pipeline.cluster import require_ray
from pipeline.datalist import load_cases, read_datalist
from pipeline.errors import InvalidDatalist, InvalidOption, MissingFile
from pipeline.labels import class_key, plain_name
from pipeline.tasks.resuming import cross_validated_on
from pipeline.tasks.workflow import default_folder, fitting_weights, open_workflow, quiet_libraries, run_recorded

__all__ = ["EvaluationResult", "compare_classes", "evaluate", "require_weights"]

# What has an option of its own must not come a second time as KEY=VALUE.
SET_ELSEWHERE = {
    "bundle_root": "the argument BUNDLE",
    "datalist": "--data",
    "split": "--split",
    "output_dir": "-o",
    "ckpt_path": "--checkpoint",
    "save_masks": "--no-masks",
    "overwrite": "--overwrite",
}


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation came to.

    Attributes:
        folder: Where `metrics.json` and the tables are; `pipeline.metrics.read_evaluation` reads it.
        record: The content of `metrics.json` but for the cases.
        cases: Images scored.
        subjects: Subjects they belong to.
        seconds: Duration, s.
        run_id: MLflow run, or None without tracking.
        notes: What the user should know.
        faults: What could not be measured, by case.
    """

    folder: Path
    record: dict[str, Any]
    cases: int
    subjects: int
    seconds: float
    run_id: str | None
    notes: tuple[str, ...]
    faults: tuple[str, ...] = ()

    @property
    def summary(self) -> dict[str, Any]:
        """The figures; see `pipeline.metrics.summarise`."""
        summary: dict[str, Any] = self.record["summary"]
        return summary


def evaluate(
    name_or_path: str,
    datalist: Path,
    split: str = "test",
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    checkpoint: Path | None = None,
    masks: bool = True,
    overwrite: bool = False,
    tracking: bool = True,
    handlers: Sequence[object] = (),
    engine: str = "local",
) -> EvaluationResult:
    """Run the bundle's evaluate config on one split.

    The files appear when every case has been scored, or not at all.

    Args:
        name_or_path: The bundle.
        datalist: `datalist.json`.
        split: "training", "validation" or "test".
        out: Folder of the tables; default `runs/<bundle>/evaluate-<split>-<time>`.
        overrides: `key=value` for the evaluate config.
        checkpoint: Weights other than the bundle's `models/model.pt`.
        masks: Whether to write the predicted masks.
        overwrite: Whether to replace an evaluation that is in the folder.
        tracking: Whether to record an MLflow run.
        handlers: Ignite handlers for the evaluator, such as a progress bar.
        engine: "local", or "ray": cases are predicted by a Ray cluster, whose machines all see the files, and scored
            here. The results are the same.

    Raises:
        InvalidBundle, InvalidDatalist, InvalidOption, MissingFile, OutputExists: before anything is computed.
        IncompleteResult: if something ended the run before every case had been scored.
    """
    began = time.perf_counter()
    if engine == "ray":
        require_ray()
    bundle = find_bundle(name_or_path)
    settings: dict[str, Any] = checked_overrides(tuple(overrides), bundle.config("evaluate"), SET_ELSEWHERE)
    load_cases(datalist, split)
    notes = compare_classes(bundle, bundle.labels("evaluate"), datalist)
    if cross_validated_on(bundle, read_datalist(datalist), split):
        notes.append(
            f"The networks were cross-validated on these {split} cases: each has trained all of them but one, and the "
            "scores are too good. The cross-validation's own table has the honest ones."
        )
    weights = checkpoint or bundle.weights
    require_weights(bundle, weights)
    folder = out or default_folder(bundle, f"evaluate-{split}")
    if not overwrite:
        from pipeline.metrics import require_no_results  # with pandas, which inference does not need

        require_no_results(folder)
    _require_state_dict(weights)  # the first that imports torch
    settings |= {
        "datalist": str(datalist.resolve()),
        "split": split,
        "output_dir": str(folder.resolve()),
        "ckpt_path": str(weights.resolve()),
        "save_masks": masks,
        "overwrite": overwrite,
    }
    before = _exported(folder)
    try:
        with quiet_libraries():
            workflow = open_workflow(
                bundle, "evaluate", settings, tracking=tracking, handlers={"handlers": [*handlers]}
            )
            with ExitStack() as stack:
                if engine == "ray":
                    from pipeline.tasks.evaluating import predicted_by_cluster

                    stack.enter_context(predicted_by_cluster(workflow, bundle, settings))
                with fitting_weights(weights, bundle.config("evaluate")):
                    run_id = run_recorded(workflow, "evaluation_recorder", notes)
    except BaseException:
        from pipeline.metrics import discard_unfinished

        for config in _exported(folder) - before:
            config.unlink(missing_ok=True)
        discard_unfinished(folder.resolve())
        raise
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    del record["cases"]
    return EvaluationResult(
        folder=folder,
        record=record,
        cases=record["n_cases"],
        subjects=record["n_subjects"],
        seconds=time.perf_counter() - began,
        run_id=run_id,
        notes=(*notes, *record["notes"]),
        faults=tuple(record["faults"]),
    )


def _exported(folder: Path) -> set[Path]:
    """The configs that MONAI has exported to a folder for the record of a run, which has them too."""
    return set(folder.glob("config_*.json"))


def require_weights(bundle: Bundle, weights: Path) -> None:
    """Raise MissingFile, with what to do, if the weights are not there."""
    if not weights.is_file():
        raise MissingFile(
            f"{weights} is not there; expected trained weights. Train the bundle first "
            f"(planar train {bundle.typed} --data datalist.json -o trained), or name others with --checkpoint."
        )


def compare_classes(bundle: Bundle, expected: dict[int, str], datalist: Path) -> list[str]:
    """What to note of the classes of a bundle and of a datalist: other names for the same numbers.

    A name in another spelling is the same one.

    Raises: InvalidDatalist: if they differ in number, or one name stands for two numbers: figures would be of the
        wrong class.
    """
    found = dict(enumerate(read_datalist(datalist).labels))
    if len(expected) != len(found):
        raise InvalidDatalist(
            f"{datalist}: has the classes {', '.join(found.values())}; the bundle {bundle.name} has "
            f"{', '.join(expected.values())}. Index the masks again with the bundle's classes."
        )
    for index, name in found.items():
        # Names that differ in their signs alone, as CD3+ and CD3-, are told apart where they are there as they are.
        same = [number for number, ours in expected.items() if class_key(ours) == class_key(name)] or [
            number for number, ours in expected.items() if plain_name(ours) == plain_name(name)
        ]
        if same and index not in same:
            raise InvalidDatalist(
                f"{datalist}: '{name}' is class {index}, in the bundle {bundle.name} class {same[0]}. "
                f"Index the masks again in the bundle's order: {', '.join(expected.values())}."
            )
    return [
        f"The datalist's '{found[index]}' is taken for the bundle's '{name}'."
        for index, name in expected.items()
        if index and plain_name(found[index]) != plain_name(name)
    ]


def _require_state_dict(weights: Path) -> None:
    """Raise InvalidBundle for a file that holds no weights, InvalidOption for a whole training; this loads torch."""
    from pipeline.tensor_files import read_state

    content = read_state(weights)
    # MONAI's loader takes a state dict, and one under the name "model".
    if "model" not in content and any(isinstance(value, dict) for value in content.values()):
        raise InvalidOption(
            f"{weights}: holds more than weights, as last.pt does, from which a training is resumed. Give model.pt."
        )
