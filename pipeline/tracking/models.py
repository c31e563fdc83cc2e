"""The weights of a training as MLflow's LoggedModels: `best`, which can be served, and `last`, from which to resume."""

from __future__ import annotations

import base64
import io
import json
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.digests import file_sha256
from pipeline.tracking.datasets import DatasetFacts
from pipeline.tracking.environment import versions
from pipeline.tracking.note import NOTE
from pipeline.tracking.record import Record
from pipeline.tracking.store import impatient

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.checkpoints import Checkpoints

__all__ = ["FoundModel", "Registration", "Scores", "find_model", "log_checkpoints", "write_served_model"]

Scores = tuple[int, Mapping[str, float]]

# By which MLflow finds the code; a name, for tracking imports nothing of the tasks.
LOADER = "pipeline.tasks.serving"
# Of a bundle, what its inference needs and what must go with its weights.
NEEDED = (
    "configs/inference.yaml",
    "configs/inference.json",
    "configs/metadata.json",
    "docs/data_license.txt",
    "LICENSE",
)


@dataclass(frozen=True)
class FoundModel:
    """Weights that a store knows.

    Attributes:
        model_id: MLflow's id.
        version: "name/3" if it is registered.
    """

    model_id: str
    version: str | None = None


@dataclass(frozen=True)
class Registration:
    """Under which name a model is registered.

    Attributes:
        name: Of the registered model, of which this becomes the next version.
        champion: Whether the alias "champion" then means this version.
    """

    name: str
    champion: bool = False


def log_checkpoints(
    record: Record,
    checkpoints: Checkpoints,
    bundle: Path | None,
    *,
    params: Mapping[str, Any] | None = None,
    since: float = 0.0,
    scores: Mapping[int, Scores] | None = None,
    validated_on: DatasetFacts | None = None,
    register: Registration | None = None,
) -> None:
    """Log the best and the last weights of a training, as far as there are any.

    Args:
        record: Of the run.
        checkpoints: Of the training.
        bundle: Whose inference config makes `best` a model that can be served; None for the weights alone.
        params: Of the training, for the models' pages.
        since: When the training began, s since 1970: a `last.pt` from before is another one's.
        scores: By epoch of this run when it was validated, ms since 1970, and to what.
        validated_on: Data of those scores.
        register: Whether `best` is registered.
    """
    best, last = checkpoints.best_path, checkpoints.last_path
    trainer = checkpoints.state.get("trainer")
    made: dict[str, tuple[int, str]] = {}
    if checkpoints.best_epoch > 0 and best.is_file():
        which = "last" if checkpoints.keeps_last else "best"
        servable = bundle is not None and any((bundle / name).is_file() for name in NEEDED[:2])
        with tempfile.TemporaryDirectory(prefix="planar-model-") as folder:
            if bundle is not None and servable:
                write_served_model(Path(folder), bundle, best, record.run_id)
            made["best"] = (
                checkpoints.best_epoch,
                record.model(
                    "best",
                    Path(folder) if servable else best,
                    step=checkpoints.best_epoch,
                    tags=_tags(best, f"Weights of the {which} validation, epoch {checkpoints.best_epoch}."),
                    params=params,
                ),
            )
    if last.is_file() and last.stat().st_mtime >= since:
        # Not `epoch`, which is the one that was begun last.
        step = trainer.state.iteration // max(trainer.state.epoch_length or 1, 1) if trainer is not None else 0
        tags = _tags(last, f"All that resuming after epoch {step} needs.")
        made["last"] = step, record.model("last", last, step=step, tags=tags, params=params)
    for epoch, model in made.values():
        if scores is not None and epoch in scores:
            time_ms, values = scores[epoch]
            # At the time of the validation, so that they are the run's own points and no further ones.
            record.metrics(values, epoch, time_ms=time_ms, model=model, dataset=validated_on)
    if register is not None and "best" in made:
        record.register(made["best"][1], register.name, "champion" if register.champion else None)


def write_served_model(folder: Path, bundle: Path, weights: Path, run_id: str) -> None:
    """Write what `mlflow models serve` takes: `MLmodel`, signature, an example, and the bundle with its weights.

    Args:
        folder: An empty folder.
        bundle: Whose inference config is served.
        weights: For its `models/model.pt`.
        run_id: Of the training.
    """
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    inside = folder / "bundle"
    for name in NEEDED:
        if (bundle / name).is_file():
            (inside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle / name, inside / name)
    (inside / "models").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, inside / "models" / "model.pt")

    table = {"columns": ["image"], "data": [[_example_picture()]]}
    _write_json(folder / "input_example.json", table)
    _write_json(folder / "serving_input_example.json", {"dataframe_split": table})
    used = versions()
    lines = [f"{name}=={version}" for name, version in used.items() if name not in ("python", "planar")]
    told = f"# and planar {__version__}, whose code is served: install it first"
    (folder / "requirements.txt").write_text("\n".join([told, *lines]) + "\n", encoding="utf-8")
    environment = f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
    (folder / "python_env.yaml").write_text(environment, encoding="utf-8")

    signature = ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "image")]),
        outputs=Schema([ColSpec(AnyType(), "mask"), ColSpec(AnyType(), "labels")]),
        params=ParamSchema([ParamSpec("mask_as", DataType.string, "")]),
    )
    model = Model(artifact_path="best", run_id=run_id, signature=signature)
    model.saved_input_example_info = {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }
    mlflow.pyfunc.add_to_model(model, loader_module=LOADER, data="bundle", python_env="python_env.yaml")
    model.save(str(folder / "MLmodel"))


def find_model(client: MlflowClient, experiment_id: str, sha256: str, training_run: str | None) -> FoundModel | None:
    """The logged model that holds given weights, with its latest registered version.

    Args:
        client: Of the store.
        experiment_id: Where to look if the training is not known here.
        sha256: Of the weights' file.
        training_run: The run that made them, if that is known.
    Returns: None if there is none, or the store does not answer.
    """
    try:
        with impatient():
            where = experiment_id
            if training_run is not None:
                where = client.get_run(training_run).info.experiment_id
            found = list(client.search_logged_models([where], f"tags.sha256 = '{sha256}'"))
            found.sort(key=lambda model: model.source_run_id != training_run)
            if not found:
                return None
            model_id, run_id = str(found[0].model_id), found[0].source_run_id
            named = f"models:/{model_id}"
            versions = [v for v in client.search_model_versions(f"run_id = '{run_id}'") if v.source == named]
    except Exception:  # weights of another store, or a server that has just gone away
        return None
    latest = max(versions, key=lambda version: int(version.version), default=None)
    return FoundModel(model_id, f"{latest.name}/{latest.version}" if latest is not None else None)


def _tags(weights: Path, note: str) -> dict[str, str]:
    return {"sha256": file_sha256(weights), "planar.version": __version__, NOTE: note}


def _example_picture() -> str:
    """A small grey picture that is nobody's."""
    from PIL import Image

    out = io.BytesIO()
    Image.radial_gradient("L").resize((64, 64)).save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
