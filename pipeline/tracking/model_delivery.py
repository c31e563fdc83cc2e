"""Telling MLflow of a run's models, so that telling it twice doubles nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.tracking.journal import Journal, Operation
from pipeline.tracking.store import impatient

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["MODEL_OPERATIONS", "ModelDelivery", "local_model"]

MODEL_OPERATIONS = {"model", "model_files", "model_ready", "model_tags", "register", "uses_model"}
# By which a logged model is found that was made before its making was written down.
MODEL_TAG = "planar.operation"


def local_model(run_id: str, number: int) -> str:
    """The name of a model until MLflow has given it one: that of the operation that makes it."""
    return f"op:{run_id}:{number}"


@dataclass
class ModelDelivery:
    """Sends those operations of a journal that are about models.

    Attributes:
        client: Of the store.
        run_id: The run.
        experiment_id: Its experiment.
    """

    client: MlflowClient
    run_id: str
    experiment_id: str
    _known: dict[str, str] = field(default_factory=dict)

    def send(self, operation: Operation, journal: Journal) -> None:
        """Send one operation."""
        getattr(self, f"_{operation['op']}")(operation, journal)

    def id_of(self, key: str) -> str:
        """MLflow's id of a model; a key that is none of ours is one already."""
        if not key.startswith("op:"):
            return key
        found = self._find(key)
        if found is None:
            raise FileNotFoundError(f"the model {key} was not made")
        return found

    def _find(self, key: str) -> str | None:
        if key not in self._known:
            found = self.client.search_logged_models([self.experiment_id], f"tags.`{MODEL_TAG}` = '{key}'")
            if not found:
                return None
            self._known[key] = str(found[0].model_id)
        return self._known[key]

    def _uses_model(self, operation: Operation, _: Journal) -> None:
        from mlflow.entities import LoggedModelInput

        self.client.log_inputs(self.run_id, models=[LoggedModelInput(self.id_of(operation["model"]))])

    def _model(self, operation: Operation, _: Journal) -> None:
        from mlflow.entities import LoggedModelOutput

        key = local_model(self.run_id, int(operation["n"]))
        model = self._find(key)
        if model is None:
            made = self.client.create_logged_model(
                self.experiment_id,
                name=operation["name"],
                source_run_id=self.run_id,
                tags={**operation["tags"], MODEL_TAG: key},
                params=operation["params"],
                model_type=operation["model_type"],
            )
            model = self._known[key] = made.model_id
        outputs = self.client.get_run(self.run_id).outputs
        if model not in {output.model_id for output in (outputs.model_outputs if outputs else ())}:
            self.client.log_outputs(self.run_id, [LoggedModelOutput(model, operation["step"])])

    def _model_files(self, operation: Operation, journal: Journal) -> None:
        source = journal.source(operation)
        send = self.client.log_model_artifacts if source.is_dir() else self.client.log_model_artifact
        send(self.id_of(operation["model"]), str(source), operation.get("folder") or None)

    def _model_ready(self, operation: Operation, _: Journal) -> None:
        self.client.finalize_logged_model(self.id_of(operation["model"]), "READY")

    def _model_tags(self, operation: Operation, _: Journal) -> None:
        self.client.set_logged_model_tags(self.id_of(operation["model"]), operation["values"])

    def _register(self, operation: Operation, _: Journal) -> None:
        from mlflow.exceptions import MlflowException

        name, model = operation["name"], self.id_of(operation["model"])
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        ours = [v for v in self.client.search_model_versions(f"run_id = '{self.run_id}'") if v.name == name]
        made = next((version for version in ours if version.source == f"models:/{model}"), None)
        if made is None:
            # A SQL store looks for the model where the environment says (MLflow 3.17), and not in itself.
            with impatient({"MLFLOW_TRACKING_URI": self.client.tracking_uri}):
                made = self.client.create_model_version(
                    name,
                    f"models:/{model}",
                    self.run_id,
                    description=f"Of the training {self.run_id}: `planar audit verify {self.run_id[:12]}`",
                    model_id=model,
                )
        # By which MLflow's pages lead from the model to its version.
        versions = json.dumps([{"name": name, "version": made.version}])
        self.client.set_logged_model_tags(model, {"mlflow.modelVersions": versions})
        if operation.get("alias"):
            self.client.set_registered_model_alias(name, operation["alias"], made.version)
